"""What every format needs to know of a video before its first frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from maskcast.core.arrays import LabelArray, Picture
from maskcast.io.annotations.categories import Categories

AnnotateFrame: TypeAlias = Callable[[int, Picture, LabelArray], None]
"""Takes the index of a frame, its picture, and its label map."""


@dataclass(frozen=True, kw_only=True)
class MaskedVideo:
    """A video whose masks are written."""

    name: str
    """Name of the video."""
    pictures: Sequence[str]
    """File names of the pictures of its frames."""
    size: tuple[int, int]
    """Height and width in pixels."""
    first: int
    """Index in the whole video of the first frame."""
    categories: Categories
    """Categories of all objects in the label maps."""
