"""What a person marked on one frame, as a file has it: before ids and frames are settled."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool

from maskcast.core.types import Box

MaskArray: TypeAlias = Bool[np.ndarray, "height width"]

Label: TypeAlias = int | str
"""An id, or a text (a colour such as ``#ff0000``, a word) that is still to be given one."""


@dataclass(frozen=True)
class MarkedFrame:
    """The marks of one frame in one file."""

    place: str
    """Which frame: its name, or its index from 0."""
    source: Path
    """The file."""
    kind: str
    """What the file is, for the report."""
    marks: dict[Label, MaskArray | Box]
    notes: list[str] = field(default_factory=list)
    """What a reader of the report should know."""
