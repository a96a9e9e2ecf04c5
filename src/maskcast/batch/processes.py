"""The engine for one machine: worker processes with one pipe each. Imports no torch."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from maskcast.batch.engine import Assignment, WorkerEvent, WorkerId, WorkerLost
from maskcast.batch.policy import PATIENCE
from maskcast.batch.worker_line import STOP, WorkerSetup, run_child

WORKER = "maskcast.batch.worker"
"""Module whose ``main`` runs in the worker processes."""


@dataclass
class _Child:
    process: BaseProcess
    connection: Connection
    slot: int


class ProcessEngine:
    """Runs workers as child processes; an ``Engine``.

    A child that dies is noticed at once. Children end by themselves when this process dies.
    """

    def __init__(self, setup: WorkerSetup, *, module: str = WORKER) -> None:
        """Describe the workers; none is started.

        Args:
            setup: what all workers need to know; number, slot and name are filled in.
            module: module whose ``main(line, setup)`` runs in the children.
        """
        self._setup = setup
        self._module = module
        self._context = multiprocessing.get_context("spawn")
        self._children: dict[WorkerId, _Child] = {}
        self._numbers = count(1)

    def start_worker(self) -> WorkerId:
        worker = next(self._numbers)
        used = {child.slot for child in self._children.values()}
        slot = next(slot for slot in count() if slot not in used)
        setup = replace(self._setup, worker=worker, slot=slot, name=f"{self._setup.name}-{slot}")
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=run_child, args=(self._module, theirs, setup), daemon=True
        )
        process.start()
        theirs.close()
        self._children[worker] = _Child(process, ours, slot)
        return worker

    def give(self, worker: WorkerId, work: Assignment) -> None:
        self._send(worker, work)

    def ask_to_stop(self, worker: WorkerId) -> None:
        self._send(worker, STOP)

    def kill(self, worker: WorkerId) -> None:
        if worker in self._children:
            self._children[worker].process.kill()

    def events(self, timeout: float) -> Iterator[WorkerEvent]:
        children = dict(self._children)
        if not children:
            time.sleep(timeout)
            return
        ready = wait(
            [
                *(child.connection for child in children.values()),
                *(child.process.sentinel for child in children.values()),
            ],
            timeout,
        )
        for worker, child in children.items():
            if child.connection in ready or child.process.sentinel in ready:
                yield from self._messages(worker, child, has_died=child.process.sentinel in ready)

    def close(self) -> None:
        for worker in list(self._children):
            self.ask_to_stop(worker)
        deadline = time.monotonic() + PATIENCE
        for worker, child in list(self._children.items()):
            child.process.join(max(deadline - time.monotonic(), 0.0))
            if child.process.is_alive():
                child.process.kill()
                child.process.join()
            self._forget(worker)

    def _send(self, worker: WorkerId, message: Assignment | None) -> None:
        if worker in self._children:
            with suppress(OSError):  # it has died, which ``events`` reports
                self._children[worker].connection.send(message)

    def _messages(
        self, worker: WorkerId, child: _Child, *, has_died: bool
    ) -> Iterator[WorkerEvent]:
        try:
            while child.connection.poll():
                yield child.connection.recv()
        except (EOFError, OSError):
            has_died = True
        if has_died:
            child.process.join(PATIENCE)
            if child.process.is_alive():  # it has closed its pipe, but goes on
                child.process.kill()
                child.process.join()
            code = child.process.exitcode or 0
            self._forget(worker)
            yield WorkerLost(worker, "video" if code else "nobody", _described(code))

    def _forget(self, worker: WorkerId) -> None:
        child = self._children.pop(worker)
        child.connection.close()
        child.process.close()


def _described(code: int) -> str:
    """Return an exit code as text, with the name of a signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"exit code {code}, {signal.Signals(-code).name}"
    except ValueError:
        return f"exit code {code}"
