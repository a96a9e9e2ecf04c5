"""Work beside the computation keeps its order, and hands its errors over."""

from __future__ import annotations

import pytest

from maskcast.core.overlap import InBackground, read_ahead


def test_items_come_in_order_and_no_more_than_a_few_ahead():
    made = []

    def numbers():
        for number in range(1000):
            made.append(number)
            yield number

    ahead = read_ahead(numbers(), depth=3)
    assert [next(ahead)[0] for _ in range(5)] == list(range(5))
    ahead.close()
    assert len(made) <= 5 + 3 + 2


def test_each_item_comes_with_the_time_of_its_own_making(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("maskcast.core.overlap.time.perf_counter", lambda: now[0])

    def slow():
        for seconds in (2.0, 3.0, 5.0):
            now[0] += seconds
            yield seconds

    assert list(read_ahead(slow(), depth=1)) == [(2.0, 2.0), (3.0, 3.0), (5.0, 5.0)]


def test_what_goes_wrong_is_raised_after_the_items_before_it():
    def broken():
        yield 1
        raise OSError("no more")

    ahead = read_ahead(broken())
    assert next(ahead)[0] == 1
    with pytest.raises(OSError, match="no more"):
        next(ahead)


def test_jobs_run_in_order():
    done = []
    with InBackground(depth=2) as background:
        for number in range(20):
            background.do(lambda number=number: done.append(number))
        background.finish()
        assert done == list(range(20))
    assert background.busy_seconds > 0


def test_the_first_failure_stops_later_jobs_and_is_raised():
    done = []

    def fail():
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), InBackground() as background:
        background.do(fail)
        background.do(lambda: done.append(1))
    assert done == []


def test_an_error_in_the_block_goes_before_that_of_a_job():
    def fail():
        raise OSError("disk full")

    with pytest.raises(KeyError), InBackground() as background:
        background.do(fail)
        raise KeyError
