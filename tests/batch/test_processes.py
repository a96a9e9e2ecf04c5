"""The engine for one machine with real processes, whose workers need no torch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from batch.light_worker import make_source
from batch.pretended import queued
from maskcast.batch.engine import (
    VideoBeat,
    VideoBegan,
    VideoEnded,
    WorkerLeaving,
    WorkerLost,
    WorkerReady,
    WorkerUnable,
)
from maskcast.batch.job import BatchSettings, ModelChoice
from maskcast.batch.processes import ProcessEngine
from maskcast.batch.worker_line import WorkerSetup

LONGEST = 120.0
"""Seconds in which a process does something, on a busy machine."""


def engine_in(folder: Path, weights: str | None = None) -> ProcessEngine:
    setup = WorkerSetup(
        make_source=make_source,
        settings=BatchSettings(),
        output=folder,
        work=folder,
        logs=folder,
        model=ModelChoice(weights=weights),
    )
    return ProcessEngine(setup, module="batch.light_worker")


@pytest.fixture
def engine(tmp_path) -> Iterator[ProcessEngine]:
    engine = engine_in(tmp_path)
    yield engine
    engine.close()


def wait_for(engine: ProcessEngine, kind: type, count: int = 1) -> list:
    """Return events of a kind, once there are enough of them."""
    events, deadline = [], time.monotonic() + LONGEST
    while len(events) < count:
        assert time.monotonic() < deadline, f"no {kind.__name__}"
        events += (event for event in engine.events(0.5) if isinstance(event, kind))
    return events


def test_workers_get_ready_finish_videos_and_end(engine):
    first, second = engine.start_worker(), engine.start_worker()
    ready = wait_for(engine, WorkerReady, 2)
    assert {event.worker for event in ready} == {first, second}
    assert {event.device for event in ready} == {"slot 0", "slot 1"}
    assert all(psutil.pid_exists(event.process) for event in ready)
    engine.give(first, queued("fine").work)
    (ended,) = wait_for(engine, VideoEnded)
    assert (ended.worker, ended.job_id, ended.outcome.status) == (first, "fine", "finished")
    engine.close()
    assert not any(psutil.pid_exists(event.process) for event in ready)


@pytest.mark.parametrize(
    ("job_id", "note"), [("die", "exit code -11, SIGSEGV"), ("exit", "code 7")]
)
def test_a_worker_that_dies_is_noticed_with_its_exit_code(engine, job_id, note):
    worker = engine.start_worker()
    wait_for(engine, WorkerReady)
    engine.give(worker, queued(job_id).work)
    (lost,) = wait_for(engine, WorkerLost)
    assert (lost.worker, lost.blame) == (worker, "video")
    assert note in lost.note
    engine.give(worker, queued("fine").work)  # to nobody: no error
    replacement = engine.start_worker()
    assert replacement != worker
    assert wait_for(engine, WorkerReady)[0].device == "slot 0"


def test_a_worker_is_stopped_killed_and_terminated(engine):
    stopped, killed, terminated = (engine.start_worker() for _ in range(3))
    processes = {event.worker: event.process for event in wait_for(engine, WorkerReady, 3)}
    for worker in processes:
        engine.give(worker, queued(f"beat{worker}").work)
    wait_for(engine, VideoBeat, 9)
    os.kill(processes[stopped], signal.SIGHUP)  # a closed terminal does not end workers at once
    os.kill(processes[stopped], signal.SIGINT)
    engine.ask_to_stop(stopped)
    engine.kill(killed)
    os.kill(processes[terminated], signal.SIGTERM)
    events, deadline = [], time.monotonic() + LONGEST
    while sum(isinstance(event, WorkerLost) for event in events) < 3:
        assert time.monotonic() < deadline
        events += (e for e in engine.events(0.5) if not isinstance(e, VideoBeat | VideoBegan))
    of = {
        worker: [type(event).__name__ for event in events if event.worker == worker]
        for worker in processes
    }
    assert of[stopped] == ["VideoEnded", "WorkerLost"]
    assert of[killed] == ["WorkerLost"]
    assert sorted(of[terminated]) == ["VideoEnded", "WorkerLeaving", "WorkerLost"]
    blame = {e.worker: e.blame for e in events if isinstance(e, WorkerLost)}
    assert blame == {stopped: "nobody", killed: "video", terminated: "nobody"}
    assert any(isinstance(e, WorkerLeaving) for e in events)


def test_a_worker_that_cannot_build_its_model_says_why(tmp_path):
    engine = engine_in(tmp_path, "unable")
    engine.start_worker()
    (unable,) = wait_for(engine, WorkerUnable)
    assert (unable.sentence, unable.exit_code) == ("no weights", 2)
    engine.close()
    engine = engine_in(tmp_path, "dead")
    engine.start_worker()
    assert wait_for(engine, WorkerLost)[0].note == "exit code 3"
    engine.close()


SCRIPT = """
import sys, time
from pathlib import Path
from batch.test_processes import engine_in, wait_for
from batch.pretended import queued
from maskcast.batch.engine import VideoBeat, WorkerReady

if __name__ == "__main__":
    engine = engine_in(Path(sys.argv[1]))
    worker = engine.start_worker()
    process = wait_for(engine, WorkerReady)[0].process
    engine.give(worker, queued("beat").work)
    wait_for(engine, VideoBeat)
    print(process, flush=True)
    time.sleep(600)
"""


def test_workers_end_when_their_dispatcher_is_killed(tmp_path):
    script = tmp_path / "dispatcher.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join(entry for entry in sys.path if entry)
    dispatcher = subprocess.Popen(
        [sys.executable, script, tmp_path],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert dispatcher.stdout is not None
    process = psutil.Process(int(dispatcher.stdout.readline()))
    dispatcher.kill()
    dispatcher.wait()
    process.wait(LONGEST)
    assert not process.is_running()
