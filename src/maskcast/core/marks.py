"""Marks that are not masks: boxes, absences and ends of objects. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from numbers import Real
from types import MappingProxyType
from typing import Any, Final

from maskcast.core.errors import PromptError


@dataclass(frozen=True)
class Box:
    """An axis-parallel rectangle in pixels of the frame; (x, y) is its top left corner.

    Raises:
        PromptError: a value is not a number or not finite, or a side is not positive.
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        for name in ("x", "y", "width", "height"):
            object.__setattr__(self, name, plain_number(getattr(self, name)))
        numbers = (self.x, self.y, self.width, self.height)
        if not all(isfinite(number) for number in numbers):
            raise PromptError(f"x, y, width and height of a box must be finite, got {numbers}")
        if self.width <= 0 or self.height <= 0:
            raise PromptError(
                "width and height of a box must be positive, got "
                f"{self.width:g}×{self.height:g}; give x, y, width and height, not two corners"
            )


def plain_number(number: Any) -> float:
    """Return a number of Python for one of NumPy or torch."""
    value = number.item() if getattr(number, "ndim", None) == 0 else number
    if not isinstance(value, Real) or isinstance(value, bool):
        raise PromptError(f"x, y, width and height of a box must be numbers, got {number!r}")
    return value if isinstance(value, int) else float(value)


SMALLEST_FRAME = 4
"""Minimum side in pixels of a frame in which a box of at most one pixel is taken for fractions."""


def pixels_if_normalised(box: Box, size: tuple[int, int]) -> str | None:
    """Return a box in pixels if it is in fractions of a frame of ``size``; else None."""
    height, width = size
    inside = 0 <= box.x < 1 and 0 <= box.y < 1 and box.width <= 1 and box.height <= 1
    if not inside or min(size) < SMALLEST_FRAME:
        return None
    in_pixels = (box.x * width, box.y * height, box.width * width, box.height * height)
    return ",".join(f"{value:.0f}" for value in in_pixels)


class Absent(Enum):
    """The type of ``ABSENT``; an enumeration, so that ``is`` holds across processes."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""Marks a known object as not visible on a frame. It may return later."""

NO_ENDS: Mapping[int, Collection[int]] = MappingProxyType({})
"""No object is removed before the last frame."""
