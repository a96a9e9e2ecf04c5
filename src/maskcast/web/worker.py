"""The server's side of a worker process: requests, replies, exits and restarts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Literal, TypeAlias

from maskcast.web.line import STARTED, run_child
from maskcast.web.messages import Failed, WorkerError

logger = logging.getLogger(__name__)

MOST_STARTS, PERIOD = 3, 60.0
"""Maximum number of restarts within a period in seconds, after which the worker stays stopped."""

STARTING = 120.0
"""Seconds in which a new process loads its libraries on a busy machine."""

WorkerState: TypeAlias = Literal["idle", "starting", "ready", "stopped"]
Heard: TypeAlias = Callable[[Any], None]
"""Called with every reply to a request but the last."""


class Worker:
    """One child process; all methods must be called in the thread of the event loop."""

    def __init__(
        self,
        name: str,
        module: str,
        *,
        niceness: int,
        final: tuple[type, ...],
        changed: Callable[[WorkerState, str], None],
    ) -> None:
        """Describe a worker; ``ask`` starts it.

        Args:
            name: name in messages.
            module: module whose ``main(line)`` runs in the child.
            niceness: added to the niceness of the server.
            final: classes of messages that end a request, in addition to ``Failed``.
            changed: called with the new state and the reason whenever the state changes.
        """
        self.name = name
        self.state: WorkerState = "idle"
        self._module, self._niceness, self._final = module, niceness, final
        self._changed = changed
        self._process: Any = None
        self._connection: Connection | None = None
        self._waiting: dict[int, tuple[asyncio.Future[Any], Heard | None]] = {}
        self._number = 0
        self._deaths: deque[float] = deque(maxlen=MOST_STARTS)
        self._first: Any = None
        self._generation = 0
        self._heard_at = 0.0
        """Time of the last message, or the time until which a new process may be silent."""

    @property
    def pid(self) -> int | None:
        """Process id, if the process is running."""
        return None if self._process is None else self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is running."""
        return self._process is not None

    def begin_with(self, message: Any) -> None:
        """Set a request that is sent first to every new process; None removes it."""
        self._first = message

    async def ask(
        self, message: Any, heard: Heard | None = None, limit: float | None = None
    ) -> Any:
        """Send a request and return its last reply; start the process if necessary.

        Args:
            message: the request.
            heard: called with the replies before the last one.
            limit: seconds of silence after which the process is killed. Loading libraries is not
                counted.

        Raises:
            WorkerError: the reply is ``Failed``, or the process has died.
        """
        if self._process is None:
            self._start()
        future = self._send(message, heard)
        reply = await self._reply(future, limit)
        if isinstance(reply, Failed):
            raise WorkerError(reply)
        return reply

    def tell(self, message: Any) -> None:
        """Send a message without reply, if the process is running."""
        if self._connection is not None:
            self._post(message)

    def kill(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()

    async def stop(self, patience: float = 20.0) -> None:
        """Let the process finish its frame and exit; kill it after ``patience`` seconds."""
        process, self._deaths = self._process, deque(maxlen=MOST_STARTS)
        self._generation += 1
        self._leave("idle", "")
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.terminate()
        await asyncio.to_thread(process.join, patience)
        if process.is_alive():
            process.kill()
            await asyncio.to_thread(process.join, 5.0)

    def _start(self) -> None:
        now = time.monotonic()
        if len(self._deaths) == MOST_STARTS and now - self._deaths[0] < PERIOD:
            raise WorkerError(
                Failed(
                    kind="busy",
                    message=f"the {self.name} worker has died {MOST_STARTS} times within a minute",
                )
            )
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=run_child, args=(self._module, theirs, self._niceness), daemon=True
        )
        process.start()
        theirs.close()
        self._process, self._connection = process, ours
        self._generation += 1
        self._heard_at = now + STARTING
        reading = (ours, process, asyncio.get_running_loop(), self._generation)
        threading.Thread(target=self._read, args=reading, daemon=True).start()
        self._change("starting", "")
        if self._first is not None:
            self._send(self._first, None).add_done_callback(_forget)

    async def _reply(self, future: asyncio.Future[Any], limit: float | None) -> Any:
        while True:
            try:
                async with asyncio.timeout(limit):
                    return await asyncio.shield(future)
            except TimeoutError:
                silent = time.monotonic() - self._heard_at
                if limit is not None and silent >= limit:
                    self.kill()
                    why = f"the {self.name} worker did not answer"
                    return Failed(kind="TimeoutError", message=why)

    def _send(self, message: Any, heard: Heard | None) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[self._number + 1] = (future, heard)
        self._post(message)
        return future

    def _post(self, message: Any) -> None:
        self._number += 1
        assert self._connection is not None
        with contextlib.suppress(OSError):  # its death is noticed by the reading thread
            self._connection.send((self._number, message))

    def _read(
        self, connection: Connection, process: Any, loop: asyncio.AbstractEventLoop, generation: int
    ) -> None:
        """Forward messages of the child until it exits; runs in a thread."""
        with contextlib.suppress(EOFError, OSError, RuntimeError):
            while True:
                number, message = connection.recv()
                loop.call_soon_threadsafe(self._hear, generation, number, message)
        process.join()
        connection.close()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._died, generation, process.exitcode)

    def _hear(self, generation: int, number: int, message: Any) -> None:
        if generation != self._generation:
            return
        self._heard_at = time.monotonic()
        if number == STARTED:
            self._change("ready", "")
        if number not in self._waiting:
            return
        future, heard = self._waiting[number]
        if isinstance(message, (Failed, *self._final)):
            del self._waiting[number]
            if not future.done():
                future.set_result(message)
        elif heard is not None:
            heard(message)

    def _died(self, generation: int, exit_code: int | None) -> None:
        if generation != self._generation:
            return
        if exit_code == 0:
            self._leave("idle", "it was idle")
            return
        self._deaths.append(time.monotonic())
        why = _reason(exit_code)
        logger.warning("the %s worker has died: %s", self.name, why)
        self._leave("stopped", why)

    def _leave(self, state: WorkerState, why: str) -> None:
        self._process = self._connection = None
        waiting, self._waiting = self._waiting, {}
        self._change(state, why)
        failure = Failed(kind="WorkerDied", message=f"the {self.name} worker has died: {why}")
        for future, _ in waiting.values():
            if not future.done():
                future.set_result(failure)

    def _change(self, state: WorkerState, why: str) -> None:
        if state != self.state:
            self.state = state
            self._changed(state, why)


def _forget(future: asyncio.Future[Any]) -> None:
    """Retrieve the result, so that an error that nobody waits for is not logged."""
    if not future.cancelled():
        future.exception()


def _reason(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        number = -exit_code
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        memory = ", probably out of memory" if name == "SIGKILL" else ""
        return f"ended by {name}{memory}"
    return f"exit code {exit_code}"
