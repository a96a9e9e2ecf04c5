"""The engine for Ray clusters with a cluster of threads, whose workers need no torch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch.light_worker import make_source
from batch.pretended import queued
from batch.pretended_cluster import PretendedCluster
from maskcast.batch import ray_cluster, ray_connection
from maskcast.batch.dispatch import Dispatcher
from maskcast.batch.engine import (
    VideoBegan,
    VideoEnded,
    WorkerLeaving,
    WorkerLost,
    WorkerPending,
    WorkerReady,
    WorkerUnable,
)
from maskcast.batch.job import BatchSettings, ModelChoice
from maskcast.batch.policy import BatchPolicy, workers_from
from maskcast.batch.ray_cluster import ActorDiedError, ActorUnreachableError, RayEngine
from maskcast.batch.ray_connection import RayOptions, join_cluster
from maskcast.batch.ray_worker import EventLine, RayWorker, installed_versions
from maskcast.batch.worker_line import WorkerSetup
from maskcast.core.errors import UsageError

LONGEST = 60.0
"""Seconds in which something happens, on a busy machine."""


def engine_on(
    cluster: PretendedCluster, folder: Path, weights: str | None = None, **how: str
) -> RayEngine:
    setup = WorkerSetup(
        make_source=make_source,
        settings=BatchSettings(),
        output=folder,
        work=folder,
        logs=folder,
        model=ModelChoice(weights=weights),
    )
    return RayEngine(setup, cluster, module=how.get("module", "batch.light_worker"))


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Look at the nodes each time."""
    monkeypatch.setattr(ray_cluster, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(ray_cluster, "LONGEST_WAIT", 0.5)


@pytest.fixture
def cluster() -> PretendedCluster:
    return PretendedCluster("one", "two")


@pytest.fixture
def engine(cluster, tmp_path) -> Iterator[RayEngine]:
    engine = engine_on(cluster, tmp_path)
    yield engine
    engine.close()
    assert cluster.is_closed


def wait_for(engine: RayEngine, kind: type, count: int = 1) -> list:
    """Return events of a kind, once there are enough of them."""
    events, deadline = [], time.monotonic() + LONGEST
    while len(events) < count:
        assert time.monotonic() < deadline, f"no {kind.__name__}"
        events += (event for event in engine.events(0.1) if isinstance(event, kind))
    return events


def test_actors_get_ready_finish_videos_and_end(engine, cluster):
    first, second = engine.start_worker(), engine.start_worker()
    ready = wait_for(engine, WorkerReady, 2)
    assert {event.worker for event in ready} == {first, second}
    assert {event.device for event in ready} == {"slot 0", "slot 1"}
    engine.give(first, queued("fine").work)
    (ended,) = wait_for(engine, VideoEnded)
    assert (ended.worker, ended.job_id, ended.outcome.status) == (first, "fine", "finished")
    engine.ask_to_stop(first)
    (lost,) = wait_for(engine, WorkerLost)
    assert (lost.worker, lost.blame) == (first, "nobody")
    assert cluster.actors[0].dead  # the process is given back


def test_a_worker_that_is_asked_to_stop_saves_and_ends(engine):
    worker = engine.start_worker()
    wait_for(engine, WorkerReady)
    engine.give(worker, queued("beat").work)
    wait_for(engine, VideoBegan)
    engine.ask_to_stop(worker)
    events, deadline = [], time.monotonic() + LONGEST
    while not any(isinstance(event, WorkerLost) for event in events):
        assert time.monotonic() < deadline
        events += engine.events(0.1)
    ended = next(event for event in events if isinstance(event, VideoEnded))
    assert ended.outcome.status == "interrupted"
    assert events.index(ended) < len(events) - 1
    assert (events[-1].worker, events[-1].blame) == (worker, "nobody")


def test_a_dead_actor_is_the_fault_of_its_video_even_if_the_message_is_lost(engine, cluster):
    worker = engine.start_worker()
    wait_for(engine, WorkerReady)
    engine._cluster.call = lambda *_: None  # the video never arrives
    engine.give(worker, queued("fine").work)
    cluster.actors[0].fail(ActorDiedError("The actor died: SIGSEGV"))
    events = []
    while not any(isinstance(event, WorkerLost) for event in events):
        events += [e for e in engine.events(0.1) if isinstance(e, VideoBegan | WorkerLost)]
    began, lost = events
    assert (began.worker, began.job_id) == (worker, "fine")
    assert (lost.blame, lost.note) == ("video", "The actor died: SIGSEGV")
    del engine._cluster.call
    replacement = engine.start_worker()
    assert replacement != worker
    assert wait_for(engine, WorkerReady)[0].device == "slot 0"


def test_a_lost_node_is_nobodys_fault(engine, cluster):
    worker = engine.start_worker()
    wait_for(engine, WorkerReady)
    engine.give(worker, queued("beat").work)
    wait_for(engine, VideoBegan)
    cluster.lose_node("one")
    (lost,) = wait_for(engine, WorkerLost)
    assert (lost.worker, lost.blame) == (worker, "machine")
    assert "died" in lost.note


def test_an_actor_that_answers_again_has_lost_its_results_and_costs_no_attempt(engine, cluster):
    worker = engine.start_worker()
    wait_for(engine, WorkerReady)
    (actor,) = cluster.actors
    actor.fail(ActorUnreachableError("the connection is lost"))
    actor.dead = None  # for a moment only
    (lost,) = wait_for(engine, WorkerLost)
    assert (lost.worker, lost.blame) == (worker, "machine")
    assert isinstance(actor.dead, ActorDiedError)


def test_an_actor_that_never_answers_again_is_given_up(engine, cluster, monkeypatch):
    monkeypatch.setattr(ray_cluster, "UNREACHABLE_FOR", 0.2)
    engine.start_worker()
    wait_for(engine, WorkerReady)
    cluster.actors[0].fail(ActorUnreachableError("the connection is lost"))
    (lost,) = wait_for(engine, WorkerLost)
    assert (lost.blame, "does not answer" in lost.note) == ("machine", True)


def test_workers_of_a_draining_node_save_and_take_no_more_work(engine, cluster):
    worker = engine.start_worker()
    wait_for(engine, WorkerReady)
    engine.give(worker, queued("beat").work)
    wait_for(engine, VideoBegan)
    cluster.leaving.add("one")
    events, deadline = [], time.monotonic() + LONGEST
    while not any(isinstance(event, WorkerLost) for event in events):
        assert time.monotonic() < deadline
        events += engine.events(0.1)
    assert [e for e in events if isinstance(e, WorkerLeaving)] == [WorkerLeaving(worker)]
    (ended,) = (event for event in events if isinstance(event, VideoEnded))
    assert ended.outcome.status == "interrupted"
    assert events[-1].blame == "nobody"


def test_an_actor_without_room_is_pending_and_its_end_needs_no_answer(cluster, tmp_path):
    full = PretendedCluster()
    engine = engine_on(full, tmp_path)
    worker = engine.start_worker()
    assert wait_for(engine, WorkerPending) == [WorkerPending(worker)]
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < ray_cluster.PATIENCE / 2


def test_a_batch_ends_although_some_workers_find_no_room(cluster, tmp_path):
    engine = engine_on(cluster, tmp_path)
    policy = BatchPolicy(jobs=8, least_jobs=1)
    records = []
    queue = iter([queued(f"fine{i}") for i in range(12)])
    dispatcher = Dispatcher(queue, engine, policy, lambda name, **e: records.append((name, e)))
    assert dispatcher.run().reason == "finished"
    assert sum(name == "finished" for name, _ in records) == 12
    started = sum(name == "starting" for name, _ in records)
    assert started <= 3  # one pending actor beyond those that found room


def test_other_versions_are_named_before_any_video(engine, cluster):
    (_, python), (_, ours), torch = installed_versions()
    cluster.versions = (("python", python), ("maskcast", "9.9"), torch)
    worker = engine.start_worker()
    (unable,) = wait_for(engine, WorkerUnable)
    assert (unable.worker, unable.exit_code) == (worker, 2)
    assert f"has maskcast 9.9, but the dispatcher has {ours}" in unable.sentence


def test_an_error_before_a_worker_is_ready_is_the_note(cluster, tmp_path):
    engine = engine_on(cluster, tmp_path, module="batch.no_such_module")
    engine.start_worker()
    (lost,) = wait_for(engine, WorkerLost)
    assert "no_such_module" in lost.note
    engine.close()
    engine = engine_on(cluster, tmp_path, weights="unable")
    engine.start_worker()
    assert wait_for(engine, WorkerUnable)[0].sentence == "no weights"
    engine.close()


def test_a_worker_that_is_stopped_while_it_builds_ends_quietly(engine, monkeypatch):
    def main(line, setup):
        raise KeyboardInterrupt

    monkeypatch.setattr("batch.light_worker.main", main)
    worker = RayWorker("batch.light_worker", engine._setup, "node")
    assert worker.run() == []
    assert worker.events(9) == []  # does not wait any more


def test_events_wait_in_the_line_until_they_are_taken():
    line = EventLine()
    assert line.take(0) == []
    line.send(WorkerLeaving(1))
    line.send(WorkerLeaving(2))
    assert line.take(5) == [WorkerLeaving(1), WorkerLeaving(2)]
    assert line.take(0) == []
    work = queued("a").work
    line.give(work)
    assert line.next() == work
    line.end()
    assert line.next() is None


@pytest.mark.parametrize(("text", "counts"), [("8", (8, 8)), ("8:64", (8, 64)), ("1:1", (1, 1))])
def test_numbers_of_workers(text, counts):
    assert workers_from(text) == counts


@pytest.mark.parametrize("text", ["", "0", "8:", ":8", "9:8", "-1", "a", "1:2:3"])
def test_other_numbers_of_workers_are_rejected(text):
    with pytest.raises(UsageError, match="workers must be a number or MIN:MAX"):
        workers_from(text)


class PretendedRay:
    """The functions of Ray that joining a cluster needs."""

    def __init__(self, head: str = "10.0.0.1:6379") -> None:
        self.head = head
        self.gcs_address = head
        self.is_shut_down = False
        self.asked: dict = {}
        self.options: dict = {}

    def init(self, **how):
        self.asked = how
        if self.head == "none":
            raise ConnectionError("Could not find any running Ray instance.\nMore lines")

    def get_runtime_context(self):
        return self

    def cluster_resources(self):
        return {"CPU": 8.0, "GPU": 2.0}

    def remote(self, _):
        outer = self

        class Made:
            def options(self, **options):
                outer.options = options
                return self

        return Made()

    def shutdown(self):
        self.is_shut_down = True


@pytest.fixture
def joined(monkeypatch):
    """Join a pretended cluster."""
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)

    def join(ray: PretendedRay, **options) -> PretendedRay:
        monkeypatch.setattr(ray_connection, "_import_ray", lambda: ray)
        join_cluster(RayOptions(**options))
        return ray

    return join


def test_actors_are_never_restarted_or_recorded_by_ray(joined):
    ray = joined(PretendedRay("127.0.0.1:6379"), threads=3, per_device=4)
    assert ray.asked["address"] == "auto"  # without an address, Ray would start a cluster
    assert (ray.options["max_restarts"], ray.options["max_task_retries"]) == (0, 0)
    assert ray.options["enable_task_events"] is False
    assert (ray.options["num_cpus"], ray.options["num_gpus"]) == (3, 0.25)
    assert joined(PretendedRay("localhost:1"), uses_gpus=False).options["num_gpus"] == 0


def test_a_cluster_that_runs_code_from_everyone_is_left(joined, monkeypatch):
    ray = PretendedRay()
    with pytest.raises(UsageError, match="accepts code from everyone on its network") as caught:
        joined(ray)
    assert caught.value.options == ("trust_network",)
    assert ray.is_shut_down
    assert not joined(PretendedRay(), trusts_network=True).is_shut_down
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    assert not joined(PretendedRay()).is_shut_down
    assert not joined(PretendedRay("[::1]:6379")).is_shut_down


def test_clusters_that_cannot_be_joined_are_named(joined, monkeypatch):
    with pytest.raises(UsageError, match="cannot join the Ray cluster auto: Could not find any"):
        joined(PretendedRay("none"))
    for address in ("ray://10.0.0.1:10001", "local"):
        with pytest.raises(UsageError, match="auto or HOST:PORT"):
            joined(PretendedRay(), address=address)


def test_ray_is_an_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UsageError, match=r'pip install "\.\[ray\]"'):
        join_cluster(RayOptions())
