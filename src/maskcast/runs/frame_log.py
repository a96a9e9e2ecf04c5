"""The log ``frames.jsonl``: one line per written frame; the last line of a frame counts.

Damaged lines are skipped, as are lines cut off when a process was killed. Imports no torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from maskcast.core.errors import OutputError
from maskcast.core.files import write_text
from maskcast.core.strict_json import parse_json
from maskcast.runs.masks import FoundObject

DAMAGE = (
    *(ValueError, LookupError, TypeError, AttributeError),
    *(OverflowError, RecursionError),
)
"""Exceptions that reading an incomplete or damaged line can raise."""


@dataclass(frozen=True, kw_only=True)
class LogEntry:
    """The log entry of one written frame."""

    frame: int
    """Frame index, counted from the first frame of the run."""
    mask: str
    """Name of the file that holds the label map."""
    objects: dict[int, FoundObject] = field(default_factory=dict)
    """Objects in the frame, by object id."""
    digest: str | None = None
    """Digest of the frame (``runs.identity``); None in a log of version 0.1."""
    backward: str | None = None
    """Digest of the backward pass that filled objects into the frame; None if none did."""
    filled: tuple[int, ...] = ()
    """Ids of the objects that the backward pass filled in."""
    begins_shot: bool = False
    """Whether a shot cut was detected before the frame."""

    def to_json(self) -> str:
        """Return the entry as one line."""
        objects = {
            str(i): (logged.area, logged.confidence, logged.presence)
            for i, logged in self.objects.items()
        }
        tree: dict[str, Any] = {"frame": self.frame, "mask": self.mask, "objects": objects}
        tree |= {"cut": True} if self.begins_shot else {}
        tree |= {} if self.digest is None else {"digest": self.digest}
        if self.backward is not None:
            tree |= {"backward": self.backward, "filled": list(self.filled)}
        return json.dumps(tree)

    def without_fills(self) -> LogEntry:
        """Return the entry as it was before the backward pass."""
        kept = {i: logged for i, logged in self.objects.items() if i not in self.filled}
        return replace(self, objects=kept, backward=None, filled=())


class FrameLog:
    """The log of one run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> Iterator[LogEntry]:
        """Yield the entries of all readable lines in the order of the file."""
        if not self.path.is_file():
            return
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                with suppress(*DAMAGE):
                    yield _read(parse_json(line))

    def by_frame(self) -> dict[int, LogEntry]:
        """Return the last entry of every frame."""
        return {entry.frame: entry for entry in self.entries()}

    def append(self, entry: LogEntry) -> None:
        """Write one line. Raises ``OutputError``."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n" + entry.to_json())  # an incomplete last line stays on its own
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error.strerror}") from error

    def replace(self, entries: Iterable[LogEntry]) -> None:
        """Replace all entries of the log. Raises ``OutputError``."""
        lines = "".join("\n" + entry.to_json() for entry in entries)
        write_text(self.path, lines, sync=True)


def _read(tree: Any) -> LogEntry:
    """Return the entry of a line.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: the line is damaged.
    """
    entry = LogEntry(
        frame=_whole(tree["frame"]),
        mask=str(tree["mask"]),
        objects={_whole(int(i)): _found_object(*known) for i, known in tree["objects"].items()},
        digest=_text_or_none(tree.get("digest")),
        backward=_text_or_none(tree.get("backward")),
        filled=tuple(_whole(object_id) for object_id in tree.get("filled", ())),
        begins_shot=tree.get("cut") is True,
    )
    return entry if entry.backward is not None else replace(entry, filled=())


def _found_object(area: Any, confidence: Any, presence: Any = None) -> FoundObject:
    """Return the entry of an object; earlier versions wrote no presence."""
    for number in (confidence, presence):
        if number is not None and not math.isfinite(number):
            raise ValueError(number)
    return FoundObject(_whole(area), confidence, presence)


def _whole(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError(number)
    return number


def _text_or_none(text: Any) -> str | None:
    if text is not None and not isinstance(text, str):
        raise TypeError(text)
    return text
