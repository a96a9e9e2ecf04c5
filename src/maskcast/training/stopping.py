"""When a run ends early: Ctrl-C, a polite kill, or the end of its time."""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType
from typing import Any, Literal

Reason = Literal["interrupted", "time"]

logger = logging.getLogger(__name__)


class Stopper:
    """Remembers that the run was asked to stop, so that it can stop between two steps.

    Use it in a ``with`` block. The second Ctrl-C interrupts at once.
    """

    def __init__(self, max_minutes: float | None = None) -> None:
        self._deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
        self._asked = False
        self._before: dict[int, Any] = {}

    @property
    def reason(self) -> Reason | None:
        """Why to stop now, if at all."""
        if self._asked:
            return "interrupted"
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "time"
        return None

    def __enter__(self) -> Stopper:
        if threading.current_thread() is threading.main_thread():  # python allows no other
            for kind in (signal.SIGINT, signal.SIGTERM):
                self._before[kind] = signal.signal(kind, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True
        logger.warning("stopping after this step with a checkpoint")
