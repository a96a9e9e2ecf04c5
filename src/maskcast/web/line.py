"""The worker's end of the connection between the server and a worker process."""

from __future__ import annotations

import importlib
import os
import signal
import threading
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

STARTED = 0
"""Number of the message that says that a child has loaded its libraries."""


class Asked(NamedTuple):
    """A message from the server."""

    number: int
    message: Any


class ServerLine:
    """Receives requests and sends replies; any thread may send."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()

    def receive(self) -> Asked | None:
        """Wait for a message; None means that the server has exited."""
        try:
            return Asked(*self._connection.recv())
        except (EOFError, OSError):
            return None

    def is_waiting(self, seconds: float = 0.0) -> bool:
        """Return whether a message is waiting or the server has exited."""
        try:
            return self._connection.poll(seconds)
        except (EOFError, OSError):
            return True

    def send(self, number: int, message: Any) -> None:
        """Reply to a request; do nothing if the server has exited."""
        with self._sending:
            try:
                self._connection.send((number, message))
            except OSError:
                return


def run_child(module: str, connection: Connection, niceness: int) -> None:
    """Run ``module.main(line)`` in a child process; Ctrl-C is handled by the server only."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.umask(0o077)
    if hasattr(os, "nice"):
        os.nice(niceness)
    worker, line = importlib.import_module(module), ServerLine(connection)
    line.send(STARTED, None)
    worker.main(line)
