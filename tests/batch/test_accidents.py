"""Real worker processes with the stand-in method that are killed, stopped and interrupted.

After every accident the same command goes on, and the masks equal those of an unbroken run. Each
process loads torch, so these tests are slow. Processes are ended by their ids.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from batch.accidents import (
    LONGEST,
    Dispatcher,
    assert_equal,
    hurry,
    unbroken_masks,
    write_slow_clips,
)
from batch.small_batch import write_manifest
from maskcast.runs.card import read_card

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict[str, dict[str, bytes]]:
    """The masks of unbroken runs, by video and file."""
    return unbroken_masks(tmp_path_factory.mktemp("unbroken"))


@pytest.fixture
def clips(tmp_path) -> Path:
    """Four slow videos."""
    write_slow_clips(tmp_path)
    return tmp_path


OFTEN = ("--save-seconds", "0.5")


def test_workers_killed_at_random_moments_lose_nothing(clips, expected):
    chance = random.Random(1)
    run = Dispatcher(clips, "--jobs", "2", "--attempts", "50", *OFTEN)
    for kills in range(1, 5):
        run.wait_for("began", kills)
        time.sleep(chance.random() * 3)
        if alive := run.workers():
            psutil.Process(chance.choice(alive)).kill()
    hurry(clips)
    assert run.end() == 0, run.output
    assert_equal(clips, expected)
    assert any("SIGKILL" in event["note"] for event in run.events("lost"))


def test_a_dispatcher_that_is_killed_goes_on_with_the_same_command(clips, expected):
    run = Dispatcher(clips, "--jobs", "2", *OFTEN)
    run.wait_for("beat", 2)
    time.sleep(2)
    workers = [psutil.Process(process) for process in run.workers()]
    assert workers
    run.process.kill()
    run.process.wait()
    _, alive = psutil.wait_procs(workers, LONGEST)
    assert not alive
    hurry(clips)
    again = Dispatcher(clips, "--jobs", "2", *OFTEN)
    assert again.end() == 0, again.output
    assert_equal(clips, expected)
    resumed = [read_card(clips / "out" / "videos" / name).resumed_from for name in "abcd"]
    assert max(resumed) > 0


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_states_and_the_run_goes_on(clips, expected, kind):
    run = Dispatcher(clips, "--jobs", "2")
    run.wait_for("beat", 2)
    os.kill(run.process.pid, kind)
    assert run.end() == 130, run.output
    assert "run again to continue" in run.output
    assert run.events("interrupted")
    assert not run.workers()
    hurry(clips)
    again = Dispatcher(clips, "--jobs", "2")
    assert again.end() == 0, again.output
    assert_equal(clips, expected)


def test_a_worker_that_stands_still_is_replaced(clips, expected):
    run = Dispatcher(clips, "--jobs", "1", "--stall", "15s", *OFTEN)
    run.wait_for("beat")
    (worker,) = run.workers()
    os.kill(worker, signal.SIGSTOP)
    run.wait_for("failed")
    hurry(clips)
    assert run.end() == 0, run.output
    assert [event["kind"] for event in run.events("failed")] == ["stall"]
    assert_equal(clips, expected)


def test_sigterm_to_a_worker_costs_no_attempt(clips, expected):
    run = Dispatcher(clips, "--jobs", "1", "--attempts", "1")
    run.wait_for("beat")
    (worker,) = run.workers()
    os.kill(worker, signal.SIGTERM)
    run.wait_for("interrupted")
    hurry(clips)
    assert run.end() == 0, run.output
    assert len(run.events("interrupted")) == 1
    assert not run.events("failed")
    assert_equal(clips, expected)


def test_poison_and_missing_files_are_named_and_others_finish(clips, expected):
    hurry(clips)
    lines = [json.loads(line) for line in (clips / "videos.jsonl").read_text().splitlines()]
    poison = {**lines[0], "id": "poison", "options": {"crash_at": "0"}}
    write_manifest(clips, lines[0], poison, {**lines[1], "id": "gone", "video": "gone"}, *lines[1:])
    run = Dispatcher(clips, "--jobs", "2", "--attempts", "2")
    assert run.end() == 4, run.output
    assert_equal(clips, expected)
    failures = [json.loads(line) for line in (clips / "out" / "failures.jsonl").open()]
    kinds = {row["id"]: row["_failure"] for row in failures}
    assert kinds["gone"]["class"] == "data"
    assert kinds["poison"]["class"] == "crash"
    assert "exit code -11, SIGSEGV" in kinds["poison"]["sentence"]
    assert kinds["poison"]["attempts"] == 2


def test_three_shards_at_once_are_the_whole_and_a_double_is_refused(clips, expected):
    hurry(clips)
    runs = [Dispatcher(clips, "--jobs", "1", "--shard", f"{index}/3") for index in range(3)]
    assert [run.end() for run in runs] == [0, 0, 0], [run.output for run in runs]
    assert_equal(clips, expected)


def test_a_second_dispatcher_of_the_same_shard_is_refused(clips):
    rows = [json.loads(line) for line in (clips / "videos.jsonl").read_text().splitlines()]
    write_manifest(clips, *({**row, "options": {"seconds": "5"}} for row in rows))
    run = Dispatcher(clips, "--jobs", "1")
    run.wait_for("beat")
    second = Dispatcher(clips, "--jobs", "1")
    assert second.end() == 2
    assert "another process is writing" in second.output
    os.kill(run.process.pid, signal.SIGINT)
    assert run.end() == 130


def test_a_full_disk_stops_the_batch_and_the_same_command_goes_on(clips, expected):
    """Work folders are on a file system of 300 kB."""
    disk = clips / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        (disk / "filler").write_bytes(b"0" * 290_000)
        run = Dispatcher(clips, "--jobs", "1", "--scratch", str(disk / "work"), *OFTEN)
        assert run.end() == 3, run.output
        assert "the disk is full" in run.output
        assert not run.events("quarantined")
        (disk / "filler").unlink()
        hurry(clips)
        again = Dispatcher(clips, "--jobs", "1", "--scratch", str(disk / "work"), *OFTEN)
        assert again.end() == 0, again.output
        assert_equal(clips, expected)
    finally:
        subprocess.run(["umount", disk], check=True)
