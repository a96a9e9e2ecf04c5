"""The marks of one frame in a file, before they have a frame index and object ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from maskcast.core.arrays import MaskArray
from maskcast.core.marks import Box

FrameKey: TypeAlias = int | str
"""Index of a frame in the whole video, or its name."""

Label: TypeAlias = int | str
"""An object id, or a text (a colour such as ``#ff0000``, a word) that is still to get an id."""


@dataclass(frozen=True)
class MarkedFrame:
    """The marks of one frame in one file."""

    frame_key: FrameKey
    """Name of the frame, or its index in the whole video as a number."""
    source: Path
    """The file."""
    kind: str
    """Format of the file, for the report."""
    marks: dict[Label, MaskArray | Box]
    notes: list[str] = field(default_factory=list)
    """Remarks for the report."""
    is_whole: bool = False
    """Whether objects that it lacks are absent: it is a corrected mask of the whole frame."""
    suggested: dict[Label, int] = field(default_factory=dict)
    """Object ids that texts get if these are free."""
    also_named: FrameKey | None = None
    """What else the file says about the frame: another name, or an index."""
    numbered_by: str = ""
    """Field of a file that its numbers come from; numbers of one field are shifted together."""

    @property
    def is_empty(self) -> bool:
        """Whether every pixel is background."""
        return not any(isinstance(mark, Box) or mark.any() for mark in self.marks.values())


def describe_marks(marks: Mapping[int, MaskArray | Box]) -> str:
    """Return a text that lists the marked ids and the size of each mask in pixels."""
    if not marks:
        return "no objects"
    shown = [
        f"{number} (a box)" if isinstance(mark, Box) else f"{number} ({int(mark.sum())} pixels)"
        for number, mark in marks.items()
    ]
    return ("id " if len(shown) == 1 else "ids ") + ", ".join(shown)
