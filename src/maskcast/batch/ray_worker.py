"""A worker inside an actor of a Ray cluster. Imports neither torch nor Ray.

It runs the same function as a worker process. The dispatcher calls its methods, at most three at a
time: ``run`` lasts as long as the worker, ``events`` waits for something to report, and the others
return at once.
"""

from __future__ import annotations

import importlib
import os
import platform
import queue
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from maskcast.batch.engine import Assignment, WorkerEvent
from maskcast.batch.worker_line import WorkerSetup

CALLS_AT_ONCE = 3
"""Number of methods that run at the same time, in threads."""
COMPARED = ("maskcast", "torch")
"""Packages that must have the same version in the dispatcher and in all workers."""


@dataclass(frozen=True)
class Placement:
    """Where a worker is, and what is installed there."""

    node: str
    machine: str
    process: int
    versions: tuple[tuple[str, str], ...]


def installed_versions() -> tuple[tuple[str, str], ...]:
    """Return the versions that decide results, by name."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (("python", python), *((name, _version(name)) for name in COMPARED))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


class EventLine:
    """What ``main`` of a worker talks to: receives videos, and keeps events until they are asked
    for; see ``WorkerLine``.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.is_closed = False
        self._inbox: queue.SimpleQueue[Assignment | None] = queue.SimpleQueue()
        self._outbox: list[WorkerEvent] = []
        self._changed = threading.Condition()

    def next(self) -> Assignment | None:
        """Wait for a video; None means that the worker has to end."""
        work = self._inbox.get()
        return None if self.stop.is_set() else work

    def send(self, event: WorkerEvent) -> None:
        """Keep an event."""
        with self._changed:
            self._outbox.append(event)
            self._changed.notify_all()

    def give(self, work: Assignment) -> None:
        """Pass a video on to the worker."""
        self._inbox.put(work)

    def end(self) -> None:
        """Let the worker save its state and end."""
        self.stop.set()
        self._inbox.put(None)

    def close(self) -> None:
        """Let ``take`` return at once from now on."""
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()

    def take(self, timeout: float) -> list[WorkerEvent]:
        """Return and forget all events; wait for ``timeout`` seconds at most if there are none."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._outbox and not self.is_closed:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            events, self._outbox = self._outbox, []
        return events


class RayWorker:
    """The actor."""

    def __init__(self, module: str, setup: WorkerSetup, node: str = "") -> None:
        """Describe a worker.

        Args:
            module: module whose ``main(line, setup)`` runs in ``run``.
            setup: what the worker needs to know.
            node: id of the node, if Ray is not asked for it.
        """
        self._module = module
        self._setup = setup
        self._node = node
        self._line = EventLine()

    def locate(self) -> Placement:
        """Return where this worker is."""
        return Placement(
            self._node or _node_id(), platform.node(), os.getpid(), installed_versions()
        )

    def run(self) -> list[WorkerEvent]:
        """Work until the dispatcher asks to stop; return the events that nobody has taken yet."""
        try:
            with suppress(KeyboardInterrupt):  # asked to stop while the segmenter is built
                importlib.import_module(self._module).main(self._line, self._setup)
        finally:
            self._line.close()
        return self._line.take(0)

    def give(self, work: Assignment) -> None:
        """Segment a video next."""
        self._line.give(work)

    def stop(self) -> None:
        """Save the state of the video and end."""
        self._line.end()

    def events(self, timeout: float) -> list[WorkerEvent]:
        """Return what has happened; wait for ``timeout`` seconds at most."""
        return self._line.take(timeout)


def _node_id() -> str:
    ray = importlib.import_module("ray")
    return str(ray.get_runtime_context().get_node_id())
