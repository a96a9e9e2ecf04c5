"""A real Ray cluster on this machine, in a network namespace that has nothing but loopback.

Every node has an address and a folder of its own, so that all can start at the same time: nodes
that share a folder choose the same names for their sockets, and one of them crashes. Processes are
ended by their ids.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from batch.accidents import LONGEST, PATH, Dispatcher

HEAD = "10.77.0.1"
PORT = 6399
ADDRESS = f"{HEAD}:{PORT}"
SECRETS = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "only for this test"}
PATIENT = {
    "RAY_raylet_start_wait_time_s": "600",
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_gcs_rpc_server_connect_timeout_s": "120",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_worker_niceness": "0",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "600",
}
"""Settings of Ray for a busy machine."""
SMALL = ("--num-cpus=1", "--object-store-memory=80000000", "--include-log-monitor=False")
HEAD_ONLY = ("--head", f"--port={PORT}", "--include-dashboard=0", "--no-monitor")

PORTS = (
    *("metrics-export-port", "runtime-env-agent-port"),
    *("dashboard-agent-listen-port", "dashboard-agent-grpc-port"),
)


class Nodes:
    """Ray nodes with one CPU each; the first one is the head."""

    def __init__(self, prefix: tuple[str, ...]) -> None:
        """Prepare nodes whose processes are started behind the words of ``prefix``."""
        self.prefix = prefix
        self.folder = Path(tempfile.mkdtemp(prefix="r"))  # short: it holds sockets
        self.started: list[subprocess.Popen] = []

    def start(self) -> None:
        """Start another node."""
        number = len(self.started)
        ray = Path(sys.executable).parent / "ray"
        where = HEAD_ONLY if number == 0 else (f"--address={ADDRESS}",)
        command = [*self.prefix, str(ray), "start", "--block", "--disable-usage-stats", *SMALL]
        command += [f"--node-ip-address=10.77.0.{number + 1}", *where]
        command += [f"--temp-dir={self.folder / str(number)}"]
        # a node that chooses ports gives its helpers 15 s to write them down, and else crashes
        command += [f"--{name}={7000 + 10 * number + i}" for i, name in enumerate(PORTS)]
        log = (self.folder / f"{number}.log").open("w")
        environment = {**os.environ, **SECRETS, **PATIENT, "PYTHONPATH": PATH}
        self.started.append(
            subprocess.Popen(command, stdout=log, stderr=log, env=environment, text=True)
        )

    def wait_for(self, number: int) -> None:
        """Wait until a node works."""
        deadline = time.monotonic() + LONGEST
        log = self.folder / f"{number}.log"
        while "Ray runtime started" not in log.read_text():
            assert self.started[number].poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def node_of(self, worker: int) -> int | None:
        """Return the number of the node that a worker process belongs to; None if it has ended."""
        try:
            parents = {process.pid for process in psutil.Process(worker).parents()}
        except psutil.NoSuchProcess:
            return None
        ids = [node.pid for node in self.started]
        return next((number for number, node in enumerate(ids) if node in parents), None)

    def raylet_of(self, number: int) -> psutil.Process:
        """Return the process that a node consists of for the others."""
        children = psutil.Process(self.started[number].pid).children(recursive=True)
        (raylet,) = (process for process in children if process.name() == "raylet")
        return raylet

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


@contextmanager
def running_nodes(count: int) -> Iterator[Nodes]:
    """Start a cluster, or skip the test where that is impossible."""
    pytest.importorskip("ray")
    if shutil.which("nsenter") is None or shutil.which("ip") is None:
        pytest.skip("needs nsenter and ip")
    addresses = "".join(f" && ip address add 10.77.0.{n}/32 dev lo" for n in range(1, count + 1))
    only_loopback = f"ip link set lo up{addresses} && echo up && exec cat"
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", only_loopback],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    if holder.stdout.readline() != b"up\n":
        pytest.skip("network namespaces cannot be made here")
    nodes = Nodes(("nsenter", "--net", "--target", str(holder.pid)))
    try:
        nodes.start()
        nodes.wait_for(0)
        for _ in range(1, count):
            nodes.start()
        for number in range(1, count):
            nodes.wait_for(number)
        yield nodes
    finally:
        nodes.end()
        holder.kill()
        holder.wait()


@dataclass(frozen=True)
class BusyWorker:
    """A worker of a dispatcher that is busy with a video."""

    number: int
    process: int
    node: int


def wait_for_worker(run: Dispatcher, nodes: Nodes, *, frames: int = 2) -> BusyWorker:
    """Wait for a worker outside the head that has done some frames of its video."""
    deadline = time.monotonic() + LONGEST
    while True:
        assert time.monotonic() < deadline
        assert run.process.poll() is None, run.process.stdout.read()
        processes = {event["worker"]: event["process"] for event in run.events("worker")}
        for worker in _at_work(run, frames):
            if node := nodes.node_of(processes[worker]):
                return BusyWorker(worker, processes[worker], node)
        time.sleep(0.1)


def wait_until_lost(run: Dispatcher, worker: BusyWorker) -> str:
    """Wait until the dispatcher has noticed the end of a worker, and return what it says."""
    deadline = time.monotonic() + LONGEST
    while True:
        for event in run.events("lost"):
            if event["worker"] == worker.number:
                return event["note"]
        assert time.monotonic() < deadline
        assert run.process.poll() is None, run.process.stdout.read()
        time.sleep(0.1)


def _at_work(run: Dispatcher, frames: int) -> list[int]:
    """Return the workers that have reported some frames of their video."""
    done: dict[int, int] = {}
    for event in run.all_events():
        if event["event"] == "beat":
            done[event["worker"]] = event["done"]
        elif event["event"] in ("began", "finished", "failed", "lost", "left", "interrupted"):
            done.pop(event["worker"], None)
    return [worker for worker, count in done.items() if count >= frames]
