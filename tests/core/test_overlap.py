"""Work beside the computation keeps its order, and hands its errors over."""

from __future__ import annotations

import threading

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


def test_the_time_of_making_is_told_without_the_waiting():
    def slow():
        threading.Event().wait(0.05)
        yield 1

    ((_, seconds),) = read_ahead(slow())
    assert 0.05 <= seconds < 5


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
