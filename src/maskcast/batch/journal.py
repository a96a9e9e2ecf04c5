"""The journal of a batch: one event per line, appended; a cache of what happened. No torch.

Each call of the dispatcher writes a file of its own. Incomplete lines, which a killed process
leaves behind, are skipped.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from maskcast.batch.layout import JOURNAL
from maskcast.core.errors import DataError, OutputError
from maskcast.core.files import make_folder
from maskcast.core.strict_json import parse_json

JournalEvent: TypeAlias = Mapping[str, Any]
"""The entries of a line; ``at`` is the time in seconds since 1970, ``event`` the name."""

SYNC_EVERY = 1.0
"""Seconds between two flushes to disk."""
BEAT_EVERY = 15.0
"""Seconds between two ``beat`` events of one worker."""
PART_SECONDS, PART_EVENTS = 60.0, 1000
"""Age and number of events after which a new part of a journal in an object store begins."""
LARGEST_EVENT = 2**22
"""Maximum length of a line in bytes."""


class Journal:
    """Appends events to new files of the journal."""

    def __init__(
        self,
        output: Path,
        shard: tuple[int, int],
        *,
        on_part: Callable[[Path], None] | None = None,
    ) -> None:
        """Create the first file.

        Args:
            output: the folder of the batch.
            shard: index and number of the shards.
            on_part: is called with each complete file; a new one is begun after ``PART_SECONDS`` or
                ``PART_EVENTS``. None means a single file.

        Raises:
            OutputError: the file cannot be written.
        """
        make_folder(output / JOURNAL)
        seconds, fraction = divmod(time.time_ns(), 10**9)
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds))
        self._start = output / JOURNAL / f"{stamp}.{fraction:09d}-{shard[0]}-of-{shard[1]}"
        self._on_part = on_part
        self._parts = 0
        self._synced = 0.0
        self._beats: dict[int, float] = {}
        self._begin_part()

    def _begin_part(self) -> None:
        end = "" if self._on_part is None else f".{self._parts:06d}"
        self.path = self._start.with_name(f"{self._start.name}{end}.jsonl")
        try:
            self._file = self.path.open("xb")
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error
        self._parts += 1
        self._events, self._begun = 0, time.monotonic()

    def end_part(self) -> None:
        """Begin a new file if the present one is large or old enough. Raises ``OutputError``."""
        is_old = time.monotonic() - self._begun >= PART_SECONDS
        if self._on_part is None or not self._events or not (is_old or self._events >= PART_EVENTS):
            return
        self.close()
        self._begin_part()

    def write(self, event: JournalEvent) -> None:
        """Append an event; of frequent ``beat`` events only some are kept.

        Raises:
            OutputError: the file cannot be written.
        """
        if event["event"] == "beat":
            if event["at"] - self._beats.get(event["worker"], 0.0) < BEAT_EVERY:
                return
            self._beats[event["worker"]] = event["at"]
        line = json.dumps(event, separators=(",", ":"), default=str).encode() + b"\n"
        try:
            self._file.write(line)
            self._file.flush()
            self._events += 1
            if time.monotonic() - self._synced >= SYNC_EVERY:
                self._sync()
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Flush and close the file. Raises ``OutputError``."""
        try:
            self._sync()
            self._file.close()
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error
        if self._on_part is not None:
            self._on_part(self.path)

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()


def read_journal(output: Path) -> Iterator[JournalEvent]:
    """Yield the events of all calls, those of earlier calls first.

    Raises:
        DataError: a file cannot be read.
    """
    for path in sorted((output / JOURNAL).glob("*.jsonl")):
        if path.is_file():
            yield from _events_of(path)


def _events_of(path: Path) -> Iterator[JournalEvent]:
    try:
        with path.open("rb") as file:
            while line := file.readline(LARGEST_EVENT):
                event = _parsed(line)
                if event is not None:
                    yield event
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def _parsed(line: bytes) -> JournalEvent | None:
    try:
        event = parse_json(line)
    except DataError:
        return None
    is_event = isinstance(event, dict) and isinstance(event.get("event"), str)
    return event if is_event and isinstance(event.get("at"), int | float) else None
