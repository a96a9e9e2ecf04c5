"""Read and write in background threads while the main thread computes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class _Made(Generic[Item]):
    item: Item
    seconds: float


@dataclass(frozen=True)
class _Ended:
    error: BaseException | None


def read_ahead(
    items: Iterable[Item], *, depth: int = 4
) -> Generator[tuple[Item, float], None, None]:
    """Yield each item with the seconds it took to produce; a thread produces ``depth`` ahead.

    An exception in the thread is raised here, after the items before it.
    """
    ready: queue.Queue[_Made[Item] | _Ended] = queue.Queue(maxsize=depth)
    stop = threading.Event()
    reader = threading.Thread(
        target=_read, args=(items, ready, stop), name="maskcast-reader", daemon=True
    )
    reader.start()
    try:
        while isinstance(made := ready.get(), _Made):
            yield made.item, made.seconds
        if made.error is not None:
            raise made.error
    finally:
        stop.set()
        while not ready.empty():  # so that a reader that waits for space continues and stops
            ready.get_nowait()
        reader.join(timeout=1)  # a camera may never return


def _read(
    items: Iterable[Item], ready: queue.Queue[_Made[Item] | _Ended], stop: threading.Event
) -> None:
    try:
        began = time.perf_counter()
        for item in items:
            ready.put(_Made(item, time.perf_counter() - began))
            if stop.is_set():
                return
            began = time.perf_counter()
        ended = _Ended(None)
    except BaseException as error:  # raised again in the consuming thread
        ended = _Ended(error)
    ready.put(ended)


class InBackground:
    """Runs jobs one after another in a background thread, in the order they were added.

    When a job fails, later jobs are skipped and the next call raises its error. Use the class in a
    ``with`` block; leaving the block waits for the jobs.

    Args:
        depth: number of jobs that may wait.
        name: name of the thread.
        within: makes a context manager that encloses all jobs, in their thread.
    """

    def __init__(
        self,
        *,
        depth: int = 3,
        name: str = "maskcast-writer",
        within: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(maxsize=depth)
        self._error: BaseException | None = None
        self._busy_seconds = 0.0
        self._within = within
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    @property
    def busy_seconds(self) -> float:
        """Time spent in jobs so far, in seconds."""
        return self._busy_seconds

    def __enter__(self) -> InBackground:
        self._thread.start()
        return self

    def do(self, job: Callable[[], None]) -> None:
        """Add a job; waits while the queue is full. Raises the error of an earlier job."""
        self._raise()
        self._jobs.put(job)

    def finish(self) -> None:
        """Wait for all jobs so far. Raises the error of the first one that failed."""
        self._jobs.join()
        self._raise()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._jobs.put(None)
        self._thread.join()
        if error is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        with self._within():
            self._do_jobs()

    def _do_jobs(self) -> None:
        while (job := self._jobs.get()) is not None:
            began = time.perf_counter()
            try:
                if self._error is None:
                    job()
            except BaseException as error:  # raised again in the calling thread
                self._error = error
            finally:
                self._busy_seconds += time.perf_counter() - began
                self._jobs.task_done()
