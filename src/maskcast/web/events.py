"""Numbered events that the server sends to every page; the last 1,000 can be sent again."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

KEPT = 1000
BEAT = 10.0
"""Seconds without an event after which the server sends a sign of life."""


class Events:
    """The events of one server. All methods belong to the thread of the event loop."""

    def __init__(self, *, kept: int = KEPT, beat: float = BEAT) -> None:
        self._lines: deque[tuple[int, bytes]] = deque(maxlen=kept)
        self._beat = beat
        self._number = 0
        self._news = asyncio.Event()
        self._is_closed = False

    @property
    def number(self) -> int:
        """Number of the newest event."""
        return self._number

    def tell(self, kind: str, **content: Any) -> None:
        """Send an event to every page."""
        self._number += 1
        self._lines.append((self._number, _line(self._number, kind, content)))
        self._wake()

    def close(self) -> None:
        """End every stream."""
        self._is_closed = True
        self._wake()

    async def stream(self, after: int | None) -> AsyncIterator[bytes]:
        """Yield lines of JSON without end: ``hello``, then the events after a number.

        Args:
            after: number of the last event that the page has received; None yields new events only.
        """
        yield _line(self._number, "hello", {})
        if after is not None and not self._can_continue(after):
            yield _line(self._number, "reload", {})
            after = None
        known = self._number if after is None else after
        while not self._is_closed:
            news = self._news
            if self._lines and known < self._lines[0][0] - 1:  # the page reads too slowly
                yield _line(self._number, "reload", {})
                known = self._number
            for number, line in [entry for entry in self._lines if entry[0] > known]:
                known = number
                yield line
            if news is not self._news or self._is_closed:
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), self._beat)
                continue
            yield _line(self._number, "beat", {})

    def _can_continue(self, after: int) -> bool:
        oldest = self._lines[0][0] if self._lines else self._number + 1
        return oldest - 1 <= after <= self._number

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def _line(number: int, kind: str, content: dict[str, Any]) -> bytes:
    return json.dumps({"seq": number, "type": kind, **content}).encode() + b"\n"
