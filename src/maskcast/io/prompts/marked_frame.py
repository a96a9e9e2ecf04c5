"""The marks of one frame as a file lists them, before they have a frame index and ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from maskcast.core.arrays import MaskArray
from maskcast.core.marks import Box

Label: TypeAlias = int | str
"""An id, or a text (a colour such as ``#ff0000``, a word) that is still to be given one."""


@dataclass(frozen=True)
class MarkedFrame:
    """The marks of one frame in one file."""

    frame_key: str
    """Which frame: its name, or its index from 0."""
    source: Path
    """The file."""
    kind: str
    """What the file is, for the report."""
    marks: dict[Label, MaskArray | Box]
    notes: list[str] = field(default_factory=list)
    """What a reader of the report should know."""


def describe_marks(marks: Mapping[int, MaskArray | Box]) -> str:
    """Say which ids are marked, and how large each mask is."""
    if not marks:
        return "no objects"
    shown = [
        f"{number} (a box)" if isinstance(mark, Box) else f"{number} ({int(mark.sum())} pixels)"
        for number, mark in marks.items()
    ]
    return ("id " if len(shown) == 1 else "ids ") + ", ".join(shown)
