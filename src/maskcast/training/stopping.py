"""Stop a run early: on Ctrl-C, SIGTERM or SIGHUP, or when its time is up."""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType
from typing import Any, Literal, TypeAlias

from maskcast.core.processors import ending_signals

Reason: TypeAlias = Literal["interrupted", "time"]

logger = logging.getLogger(__name__)


class Stopper:
    """Records requests to stop, so that the run can stop between two steps.

    Use it in a ``with`` block. A second Ctrl-C interrupts immediately.
    """

    def __init__(self, max_minutes: float | None = None) -> None:
        self._deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
        self._asked = False
        self._before: dict[int, Any] = {}

    @property
    def reason(self) -> Reason | None:
        """Reason to stop now; None if there is none."""
        if self._asked:
            return "interrupted"
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return "time"
        return None

    def __enter__(self) -> Stopper:
        if threading.current_thread() is threading.main_thread():  # only it can set handlers
            for kind in (signal.SIGINT, *ending_signals()):
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
