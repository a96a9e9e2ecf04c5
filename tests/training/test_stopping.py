"""A run in a process of its own is paused, and then killed without warning."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from maskcast.training.stopping import Stopper
from training.toy_task import losses_of, train_losses


def steps_done(folder: Path) -> int:
    return len(train_losses(folder)) if (folder / "metrics.jsonl").is_file() else 0


def wait_for_steps(folder: Path, steps: int, process: subprocess.Popen[bytes]) -> None:
    while steps_done(folder) < steps:
        assert process.poll() is None, "the run ended by itself"
        time.sleep(0.1)


@pytest.mark.timeout(600)
def test_a_run_can_be_paused_and_after_kill_9_it_goes_on_as_if_unbroken(tmp_path: Path):
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    script = Path(__file__).with_name("steady_run.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, str(script), str(broken)],
        env={**environment, "MASKCAST_TEST_PAUSE_AT": "10"},
        start_new_session=True,
    )
    try:
        wait_for_steps(broken, 2, process)
        os.killpg(process.pid, signal.SIGSTOP)  # the loop and its workers
        time.sleep(0.1)
        paused_at = steps_done(broken)
        time.sleep(0.6)
        assert steps_done(broken) == paused_at
        os.killpg(process.pid, signal.SIGCONT)
        wait_for_steps(broken, 9, process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert steps_done(broken) == 9
    # not in this process: beartype, which looks at types in tests, draws from python's generator
    for folder in (broken, unbroken):
        subprocess.run([sys.executable, str(script), str(folder)], env=environment, check=True)
    assert losses_of(broken) == losses_of(unbroken)


@pytest.mark.timeout(300)
def test_a_polite_kill_of_a_whole_job_ends_it_with_a_checkpoint(tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("steady_run.py")), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MASKCAST_TEST_PAUSE_AT": "1000"},
        start_new_session=True,
    )
    try:
        wait_for_steps(tmp_path, 2, process)
        os.killpg(process.pid, signal.SIGTERM)  # the workers too, as a scheduler does
        assert process.wait(timeout=200) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    last = max((tmp_path / "checkpoints").glob("step-*.pt"))
    assert last.name == f"step-{steps_done(tmp_path):09d}.pt"
    assert json.loads((tmp_path / "card.json").read_text())["status"] == "interrupted"


def test_a_second_ctrl_c_interrupts_at_once():
    with Stopper() as stopper:
        assert stopper.reason is None
        os.kill(os.getpid(), signal.SIGINT)
        assert stopper.reason == "interrupted"
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:
            return
    raise AssertionError("the second one was ignored")


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_a_polite_kill_asks_to_stop_and_handlers_are_put_back(kind):
    before = signal.signal(kind, signal.SIG_DFL)
    try:
        with Stopper(max_minutes=1000.0) as stopper:
            os.kill(os.getpid(), kind)
            assert stopper.reason == "interrupted"
        assert signal.getsignal(kind) is signal.SIG_DFL
    finally:
        signal.signal(kind, before)


def test_time_runs_from_the_start():
    assert Stopper(max_minutes=0.0).reason == "time"
    assert Stopper(max_minutes=5.0).reason is None
