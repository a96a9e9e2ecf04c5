"""The dispatcher on a pretended engine with a pretended clock: every row of the failure table."""

from __future__ import annotations

import itertools
import random

import pytest

from batch.pretended import (
    FINISHED,
    Batch,
    by_id,
    failing,
    finishing,
    in_turn,
    queued,
)
from maskcast.batch.engine import (
    VideoBeat,
    VideoBegan,
    VideoEnded,
    VideoOutcome,
    WorkerLeaving,
    WorkerLost,
    WorkerUnable,
)
from maskcast.core.errors import OutputError


def dying(worker, work):
    yield 0.1, VideoBegan(worker, work.job.id)
    yield 2.0, WorkerLost(worker, "video", "exit code -11, SIGSEGV")


def losing_machine(worker, work):
    yield 0.1, VideoBegan(worker, work.job.id)
    yield 2.0, WorkerLost(worker, "machine", "node died")


def silent(worker, work):
    yield 0.1, VideoBegan(worker, work.job.id)


def test_all_videos_are_finished_in_order():
    batch = Batch("abcde", jobs=2)
    assert batch.run().exit_code == 0
    assert batch.order == list("abcde")
    assert sorted(batch.named("finished")) == list("abcde")
    assert len(batch.engine.started) == 2
    assert batch.named("stopped", "reason") == ["finished"]


def test_no_more_workers_than_videos():
    batch = Batch("a", jobs=8)
    batch.run()
    assert len(batch.engine.started) == 1


def test_nothing_to_do_starts_no_worker():
    batch = Batch([None, None], jobs=2)
    assert batch.run().reason == "finished"
    assert not batch.engine.started


def test_work_goes_only_to_workers_that_are_ready():
    batch = Batch("ab", jobs=2)
    batch.engine.ready_after = 30.0
    batch.run()
    assert batch.named("began", "at")[0] >= 1030.0


def test_the_end_does_not_wait_for_workers_that_are_starting():
    batch = Batch("abc", by_id({"a": in_turn(dying, finishing)}), jobs=2)
    starts = iter((1.0, 1.0, 1e6))  # the replacement never gets ready
    start = batch.engine.start_worker

    def start_worker():
        batch.engine.ready_after = next(starts)
        return start()

    batch.engine.start_worker = start_worker
    assert batch.run().reason == "finished"
    assert sorted(batch.named("finished")) == ["a", "b", "c"]


def test_a_worker_prefers_videos_with_its_model():
    rows = [queued(i, weights=weights) for i, weights in zip("abcd", "xyxy", strict=True)]
    batch = Batch(rows, jobs=1)
    batch.run()
    assert batch.order == ["a", "c", "b", "d"]


def test_a_higher_priority_counts_more_than_the_model():
    rows = [queued("a", weights="x", priority=1), queued("b", weights="y", priority=1)]
    batch = Batch([*rows, queued("c", weights="x")], jobs=1)
    batch.run()
    assert batch.order == ["a", "b", "c"]


@pytest.mark.parametrize("kind", ["data", "conflict", "time"])
def test_some_failures_are_final(kind):
    batch = Batch("abc", by_id({"b": failing(kind)}), jobs=1)
    assert batch.run().reason == "finished"
    assert batch.order == ["a", "b", "c"]
    assert batch.named("quarantined") == ["b"]
    assert batch.named("quarantined", "attempts") == [0]
    assert batch.named("quarantined", "row")[0]["video"] == "b.mp4"


def test_transient_failures_wait_longer_each_time():
    batch = Batch("a", failing("transient"), jobs=1, attempts=4)
    batch.run()
    begins = batch.named("began", "at")
    waits = [later - earlier - 1.1 for earlier, later in itertools.pairwise(begins)]
    assert waits == pytest.approx([5.0, 25.0, 125.0], abs=0.7)
    assert batch.named("quarantined", "kind") == ["transient"]


def test_others_are_segmented_while_one_waits():
    batch = Batch("ab", by_id({"a": in_turn(failing("transient"), finishing)}), jobs=1)
    batch.run()
    assert batch.order == ["a", "b", "a"]
    assert sorted(batch.named("finished")) == ["a", "b"]


def test_after_memory_ran_out_the_worker_is_replaced():
    batch = Batch("a", in_turn(failing("memory"), finishing), jobs=1)
    batch.run()
    assert [worker for worker, _, _ in batch.engine.held] == [1, 2]
    assert batch.engine.stopped == [1]


def test_a_fault_is_tried_again_at_once_and_then_given_up():
    batch = Batch("ab", by_id({"a": failing("fault", "ValueError: no")}), jobs=1)
    batch.run()
    assert batch.order == ["a", "a", "a", "b"]
    assert batch.named("quarantined", "sentence") == ["ValueError: no"]


def test_a_video_that_kills_its_workers_is_given_up_and_others_are_untouched():
    batch = Batch("abcd", by_id({"b": dying}), jobs=2)
    assert batch.run().exit_code == 0
    assert sorted(batch.named("finished")) == ["a", "c", "d"]
    assert batch.named("quarantined", "kind") == ["crash"]
    assert "exit code -11, SIGSEGV" in batch.named("quarantined", "sentence")[0]
    assert [attempt for _, i, attempt in batch.engine.held if i == "b"] == [1, 2, 3]
    assert [i for _, i, _ in batch.engine.held].count("a") == 1


def test_a_worker_that_dies_before_it_begins_costs_no_attempt():
    def dying_early(worker, work):
        yield 0.1, WorkerLost(worker, "video", "exit code -9, SIGKILL")

    batch = Batch("a", in_turn(*[dying_early] * 5, finishing), jobs=1, attempts=2)
    batch.run()
    assert batch.named("finished") == ["a"]
    assert batch.engine.held[-1][2] == 1


def test_a_silent_worker_is_asked_to_stop_and_then_killed():
    batch = Batch("a", in_turn(silent, finishing), jobs=1, stall=60.0)
    batch.engine.obeys = False
    batch.run()
    assert batch.engine.stopped[0] == 1
    assert batch.engine.killed[0] == 1
    assert batch.named("failed", "kind") == ["stall"]
    assert batch.named("failed", "at")[0] - batch.named("began", "at")[0] == pytest.approx(
        70, abs=2
    )
    assert batch.named("finished") == ["a"]


def test_a_worker_that_obeys_after_silence_costs_an_attempt_too():
    batch = Batch("a", silent, jobs=1, stall=60.0, attempts=2)
    batch.run()
    assert batch.named("failed", "kind") == ["stall", "stall"]
    assert not batch.engine.killed
    assert batch.named("quarantined") == ["a"]


def test_beats_keep_a_slow_video_alive():
    def slow(worker, work):
        yield 0.1, VideoBegan(worker, work.job.id)
        for done in range(20):
            yield 50.0, VideoBeat(worker, work.job.id, "frames", done, 20)
        yield 1.0, VideoEnded(worker, work.job.id, FINISHED)

    batch = Batch("a", slow, jobs=1, stall=60.0)
    batch.run()
    assert batch.named("finished") == ["a"]
    assert not batch.engine.stopped


def test_a_lost_machine_costs_no_attempt_until_ten_in_a_row():
    batch = Batch("a", in_turn(*[losing_machine] * 9, finishing), jobs=1, attempts=1)
    batch.run()
    assert batch.named("finished") == ["a"]
    batch = Batch("a", losing_machine, jobs=1, attempts=1)
    batch.run()
    assert batch.order == ["a"] * 10
    assert batch.named("quarantined", "kind") == ["crash"]


def test_a_worker_that_leaves_gets_no_more_work():
    def leaving(worker, work):
        yield 0.1, VideoBegan(worker, work.job.id)
        yield 1.0, WorkerLeaving(worker)
        yield 0.5, VideoEnded(worker, work.job.id, VideoOutcome(status="interrupted"))
        yield 0.5, WorkerLost(worker, "nobody", "exit code 0")

    batch = Batch("ab", by_id({"a": in_turn(leaving, finishing)}), jobs=1)
    batch.run()
    assert batch.engine.held == [(1, "a", 1), (2, "a", 1), (2, "b", 1)]
    assert batch.named("interrupted") == ["a"]
    assert not batch.named("failed")


def test_a_locked_folder_is_waited_for():
    batch = Batch("a", in_turn(*[failing("busy")] * 3, finishing), jobs=1, attempts=1)
    batch.run()
    assert batch.named("finished") == ["a"]
    batch = Batch("a", failing("busy"), jobs=1, attempts=1)
    batch.run()
    assert batch.named("quarantined", "kind") == ["busy"]
    assert batch.clock.now > 1030


def test_a_model_that_cannot_be_built_stops_before_any_video():
    batch = Batch("abc", jobs=2)
    batch.engine.start_worker = lambda: batch.engine.add(1, WorkerUnable(1, "no weights", 2)) or 1
    batch.engine.alive.add(1)
    ending = batch.run()
    assert (ending.reason, ending.sentence, ending.exit_code) == ("unable", "no weights", 2)
    assert not batch.order


def test_workers_that_die_before_they_are_ready_stop_the_batch():
    batch = Batch("abc", jobs=1)
    start = batch.engine.start_worker

    def start_worker():
        batch.engine.ready_after = 100.0
        worker = start()
        batch.engine.add(1.0, WorkerLost(worker, "video", "exit code 1"))
        return worker

    batch.engine.start_worker = start_worker
    ending = batch.run()
    assert (ending.reason, ending.exit_code) == ("unable", 3)
    assert "exit code 1" in ending.sentence
    assert len(batch.engine.started) == 3


def test_results_that_cannot_be_written_stop_the_batch_and_quarantine_nothing():
    batch = Batch("abcdef", failing("output", "the disk is full"), jobs=3)
    ending = batch.run()
    assert (ending.reason, ending.sentence, ending.exit_code) == ("output", "the disk is full", 3)
    assert not batch.named("quarantined")
    assert len(set(batch.named("failed", "worker"))) == 3


def test_one_worker_that_cannot_write_among_others_does_not_stop_the_batch():
    script = by_id({"a": failing("output")})
    batch = Batch("abcdefgh", script, jobs=2)
    assert batch.run().reason == "finished"
    assert batch.named("quarantined") == ["a"]


def test_too_many_failures_stop_the_batch_with_the_commonest_sentences():
    videos = [f"v{i}" for i in range(20)]
    batch = Batch(videos, failing("data", "no such file"), jobs=1, most_failed=3)
    ending = batch.run()
    assert (ending.reason, ending.exit_code) == ("max-failed", 4)
    assert "4× no such file" in ending.sentence
    assert len(batch.order) == 4


def test_a_stop_lets_workers_save_and_starts_nothing():
    batch = Batch("abcdef", jobs=2)
    batch.ticks.append(lambda: batch.dispatcher.stop() if batch.clock.now > 1005 else None)
    calls = []
    batch.dispatcher.stop = lambda stop=batch.dispatcher.stop: (
        calls.append(1) or (stop() if len(calls) == 1 else None)
    )
    ending = batch.run()
    assert (ending.reason, ending.exit_code) == ("interrupted", 130)
    assert sorted(batch.named("interrupted")) == ["a", "b"]
    assert not batch.engine.killed
    assert batch.order == ["a", "b"]


def test_workers_that_do_not_stop_in_time_are_killed():
    batch = Batch("ab", silent, jobs=2)
    batch.engine.obeys = False
    batch.ticks.append(lambda: batch.clock.now > 1005 and batch.dispatcher.stop())
    batch.run()
    assert sorted(batch.engine.killed) == [1, 2]


def test_a_second_stop_kills_at_once():
    batch = Batch("ab", silent, jobs=2)
    batch.engine.obeys = False
    batch.ticks.append(lambda: [batch.dispatcher.stop(), batch.dispatcher.stop()])
    began = batch.clock.now
    while not batch.engine.at_work:
        batch.dispatcher._prepare()
        batch.dispatcher._listen(1.0)
    batch.run()
    assert sorted(batch.engine.killed) == [1, 2]
    assert batch.clock.now - began < 5


def test_a_journal_that_cannot_be_written_ends_all_workers():
    batch = Batch("abc", jobs=2)
    record = batch.record

    def full(name, **entries):
        if name == "finished":
            raise OutputError("the disk is full")
        record(name, **entries)

    batch.dispatcher._record = full
    with pytest.raises(OutputError, match="disk is full"):
        batch.dispatcher.run()
    assert batch.engine.is_closed
    assert set(batch.engine.stopped) >= {2}


def test_attempts_of_earlier_calls_count():
    video = queued("a")
    video.attempts = 2
    batch = Batch([video], dying, jobs=1)
    batch.run()
    assert batch.order == ["a"]
    assert batch.named("quarantined", "attempts") == [3]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_nothing_is_lost_and_nothing_is_done_twice(seed):
    """Random events: 40 seeds of 25 videos, ten thousand events in all."""
    chance = random.Random(seed)
    ends: dict[str, list[str]] = {}

    def anything(worker, work):
        job_id = work.job.id
        begins = chance.random() < 0.9
        if begins:
            yield chance.random(), VideoBegan(worker, job_id)
        for done in range(chance.randrange(4)):
            yield chance.random() * 9, VideoBeat(worker, job_id, "frames", done, None)
        kind = chance.choice(
            ["finished"] * 6 + ["lost", "machine", "leave", "fault", "data", "busy"]
        )
        ends.setdefault(job_id, []).append(kind if begins or kind != "lost" else "early")
        if kind == "finished":
            yield 1.0, VideoEnded(worker, job_id, FINISHED)
        elif kind in ("lost", "machine"):
            yield 1.0, WorkerLost(worker, "video" if kind == "lost" else "machine", "gone")
        elif kind == "leave":
            yield 0.5, WorkerLeaving(worker)
            yield 0.5, VideoEnded(worker, job_id, VideoOutcome(status="interrupted"))
            yield 0.1, WorkerLost(worker, "nobody")
        else:
            yield 1.0, VideoEnded(worker, job_id, VideoOutcome(status="failed", kind=kind))

    videos = [f"v{i}" for i in range(25)]
    batch = Batch(videos, anything, jobs=chance.randrange(1, 6), most_failed=100)
    assert batch.run().reason == "finished"
    finished, given_up = batch.named("finished"), batch.named("quarantined")
    assert sorted(finished + given_up) == sorted(videos)
    for job_id in finished:
        assert ends[job_id][-1] == "finished"
        assert ends[job_id].count("lost") + ends[job_id].count("fault") < 3
    for job_id in given_up:
        counted = sum(ends[job_id].count(kind) for kind in ("lost", "fault"))
        assert counted == 3 or ends[job_id][-1] in ("data", "busy")
