"""The worker's end of the connection to the dispatcher. Imports no torch."""

from __future__ import annotations

import importlib
import math
import os
import queue
import signal
import threading
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from maskcast.batch.addresses import Location
from maskcast.batch.engine import Assignment, WorkerEvent, WorkerId, WorkerLeaving
from maskcast.batch.job import BatchSettings, MakesSource, ModelChoice

STOP = None
"""The message that asks a worker to save its state and end."""
WITHOUT_DISPATCHER = 60.0
"""Seconds in which a worker whose dispatcher has died must end."""


@dataclass(frozen=True, kw_only=True)
class WorkerSetup:
    """Everything that a worker needs to know; it can be pickled."""

    make_source: MakesSource
    settings: BatchSettings
    output: Location
    """The folder of the batch."""
    work: Path
    """The folder of unfinished videos."""
    logs: Path
    """The folder of the logs."""
    model: ModelChoice = field(default_factory=ModelChoice)
    """The segmenter that is built at once."""
    worker: WorkerId = 0
    slot: int = 0
    """Position among the workers of the machine, from 0; decides which GPU is used."""
    name: str = "worker"
    """Name of the log file."""
    save_frames: int = 50
    save_seconds: float = 30.0
    """How often states are saved; see ``runs.segmentation.SavePolicy``."""
    save_remote: float = 300.0
    """Seconds between two copies of an unfinished video in the object store of the results."""
    largest_input: float = math.inf
    """Maximum size in bytes of a file or folder that is copied from an object store."""
    time_limit: float | None = None
    """Time limit in seconds of videos that have none of their own."""
    beat_every: float = 2.0
    """Seconds between two reports of progress."""


class WorkerLine:
    """Receives videos and sends events; any thread may send.

    ``stop`` is set when the worker has to save its state and end: the dispatcher asks for it, the
    dispatcher has died, or the system sends SIGTERM.
    """

    def __init__(self, connection: Connection, worker: WorkerId) -> None:
        self.stop = threading.Event()
        self.worker = worker
        self._connection = connection
        self._sending = threading.Lock()
        self._inbox: queue.SimpleQueue[Assignment | None] = queue.SimpleQueue()

    def listen(self) -> None:
        """Receive messages in a thread, and handle SIGTERM."""
        signal.signal(signal.SIGTERM, lambda *_: self._leave())
        threading.Thread(target=self._receive, daemon=True).start()

    def next(self) -> Assignment | None:
        """Wait for a video; None means that the worker has to end."""
        work = self._inbox.get()
        return None if self.stop.is_set() else work

    def send(self, event: WorkerEvent) -> None:
        """Send an event; do nothing if the dispatcher has died."""
        with self._sending:
            try:
                self._connection.send(event)
            except OSError:
                return

    def _receive(self) -> None:
        parent = parent_process()
        sentinel = [] if parent is None else [parent.sentinel]
        while True:
            ready = wait([self._connection, *sentinel])
            if self._connection not in ready:
                break
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                break
            if message is STOP:
                self._end()
            else:
                self._inbox.put(message)
        self._end()
        threading.Timer(WITHOUT_DISPATCHER, os._exit, (1,)).start()

    def _leave(self) -> None:
        threading.Thread(target=self.send, args=(WorkerLeaving(self.worker),)).start()
        self._end()

    def _end(self) -> None:
        self.stop.set()
        self._inbox.put(None)


def run_child(module: str, connection: Connection, setup: Any) -> None:
    """Run ``module.main(line, setup)`` in a child process; the dispatcher handles signals."""
    for kind in ("SIGINT", "SIGHUP"):  # both come to all processes of a terminal
        if hasattr(signal, kind):
            signal.signal(getattr(signal, kind), signal.SIG_IGN)
    line = WorkerLine(connection, setup.worker)
    line.listen()
    importlib.import_module(module).main(line, setup)
