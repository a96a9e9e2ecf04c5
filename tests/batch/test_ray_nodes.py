"""A real Ray cluster of three nodes, in a network namespace that has nothing but loopback.

A dispatcher, a worker and a node are killed, another node leaves, and one video kills its workers:
the masks equal those of unbroken runs. Processes are ended by their ids.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from batch.accidents import (
    LONGEST,
    NAMES,
    PATH,
    Dispatcher,
    assert_equal,
    unbroken_masks,
    write_slow_clips,
)
from batch.small_batch import write_manifest
from maskcast.runs.card import read_card

pytestmark = pytest.mark.slow

ADDRESS = "127.0.0.1:6399"
SECRETS = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "only for this test"}
PATIENT = {
    "RAY_raylet_start_wait_time_s": "600",
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_gcs_rpc_server_connect_timeout_s": "120",
}
"""Settings of Ray for a busy machine."""
FRAMES = 200
"""Frames of each video; they take a minute while everything happens, and nothing afterwards."""


class Nodes:
    """Ray nodes with one CPU each."""

    def __init__(self, prefix: tuple[str, ...]) -> None:
        self.prefix = prefix
        self.folder = Path(tempfile.mkdtemp(prefix="r"))  # short: it holds sockets
        self.started: list[subprocess.Popen] = []

    def start(self, *options: str) -> subprocess.Popen:
        """Start a node."""
        ray = Path(sys.executable).parent / "ray"
        command = [*self.prefix, str(ray), "start", "--block", "--num-cpus=1"]
        command += ["--disable-usage-stats", "--object-store-memory=80000000", *options]
        log = (self.folder / f"{len(self.started)}.log").open("w")
        environment = {**os.environ, **SECRETS, **PATIENT, "PYTHONPATH": PATH}
        node = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self.started.append(node)
        return node

    def start_head(self) -> None:
        """Start the first node, and wait until others can join it."""
        self.start("--head", "--port=6399", f"--temp-dir={self.folder}", "--include-dashboard=0")
        self.wait_for(0)

    def wait_for(self, number: int) -> None:
        """Wait until a node works."""
        deadline = time.monotonic() + LONGEST
        log = self.folder / f"{number}.log"
        while "Ray runtime started" not in log.read_text():
            assert self.started[number].poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def node_of(self, worker: int) -> subprocess.Popen:
        """Return the node that a worker process belongs to."""
        parents = {process.pid for process in psutil.Process(worker).parents()}
        return next(node for node in self.started if node.pid in parents)

    def end(self) -> None:
        """End all nodes and what they have started."""
        processes = []
        for node in self.started:
            if node.poll() is None:
                processes += psutil.Process(node.pid).children(recursive=True)
                node.kill()
                node.wait()
        for process in processes:
            if process.is_running():
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    pytest.importorskip("ray")
    if shutil.which("nsenter") is None or shutil.which("ip") is None:
        pytest.skip("needs nsenter and ip")
    only_loopback = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec cat"]
    holder = subprocess.Popen(
        only_loopback, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if holder.stdout.readline() != b"up\n":
        pytest.skip("network namespaces cannot be made here")
    nodes = Nodes(("nsenter", "--net", "--target", str(holder.pid)))
    try:
        nodes.start_head()
        nodes.start(f"--address={ADDRESS}")
        nodes.start(f"--address={ADDRESS}")
        nodes.wait_for(1)
        nodes.wait_for(2)
        yield nodes
    finally:
        nodes.end()
        holder.kill()
        holder.wait()


def at_work(run: Dispatcher) -> dict[int, int]:
    """Return the process ids of the workers that are busy, by number."""
    busy: dict[int, bool] = {}
    for event in run.all_events():
        if event["event"] in ("began", "finished", "failed", "lost", "left", "interrupted"):
            busy[event["worker"]] = event["event"] == "began"
    processes = {event["worker"]: event["process"] for event in run.events("worker")}
    return {worker: processes[worker] for worker, is_busy in busy.items() if is_busy}


def wait_for_worker(run: Dispatcher, nodes: Nodes, *, on_others: bool) -> int:
    """Return the process id of a busy worker, of the first node or of another one."""
    deadline = time.monotonic() + LONGEST
    while True:
        assert time.monotonic() < deadline
        assert run.process.poll() is None, run.process.stdout.read()
        for process in at_work(run).values():
            if psutil.pid_exists(process):
                is_first = nodes.node_of(process) is nodes.started[0]
                if is_first != on_others:
                    return process
        time.sleep(0.1)


def test_a_cluster_survives_every_accident(nodes, tmp_path):
    quick = tmp_path / "quick"
    slow = {"seconds": "0.3", "quick": str(quick)}
    rows = write_slow_clips(tmp_path, count=FRAMES, options=slow)
    poison = {**rows[0], "id": "poison", "options": {"crash_at": "0"}}
    write_manifest(tmp_path, rows[0], poison, *rows[1:])
    options = ("--ray", ADDRESS, "--workers", "2", "--attempts", "2", "--save-seconds", "0.5")

    def start() -> Dispatcher:
        return Dispatcher(tmp_path, *options, prefix=nodes.prefix, environment=SECRETS)

    killed = start()
    wait_for_worker(killed, nodes, on_others=True)
    workers = [psutil.Process(process) for process in killed.workers()]
    killed.process.kill()
    killed.process.wait()
    _, alive = psutil.wait_procs(workers, LONGEST)
    assert not alive

    run = start()
    psutil.Process(wait_for_worker(run, nodes, on_others=True)).kill()
    run.wait_for("lost")
    node = nodes.node_of(wait_for_worker(run, nodes, on_others=True))
    (raylet,) = (
        p for p in psutil.Process(node.pid).children(recursive=True) if p.name() == "raylet"
    )
    raylet.kill()
    node.wait(LONGEST)
    node = nodes.node_of(wait_for_worker(run, nodes, on_others=True))
    node.send_signal(signal.SIGTERM)
    run.wait_for("interrupted")
    quick.touch()
    assert run.end() == 4, run.output
    assert_equal(tmp_path, unbroken_masks(tmp_path / "unbroken", count=FRAMES, options={}))

    failures = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").open()]
    assert [row["id"] for row in failures] == ["poison"]
    assert failures[0]["_failure"]["class"] == "crash"
    assert failures[0]["_failure"]["attempts"] == 2
    notes = [event["note"] for event in run.events("lost")]
    assert any("node" in note and "died" in note for note in notes)
    crashes = [
        e["id"] for e in run.events("failed") if e["kind"] == "crash" and e["id"] != "poison"
    ]
    assert len(crashes) <= 1  # the worker that was killed; the nodes cost no attempt
    assert max(read_card(tmp_path / "out" / "videos" / name).resumed_from for name in NAMES) > 0
