"""Boxes of masks, in two conventions that differ by one pixel. Imports no torch."""

from __future__ import annotations

import numpy as np

from maskcast.core.arrays import MaskArray
from maskcast.core.errors import PromptError
from maskcast.core.marks import Box


def tight_box(mask: MaskArray) -> Box | None:
    """Return the smallest box that covers a mask: its width is ``x_max - x_min + 1``.

    None if the mask is empty.
    """
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if len(rows) == 0:
        return None
    left, right, top, bottom = (float(v) for v in (columns[0], columns[-1], rows[0], rows[-1]))
    return Box(left, top, right - left + 1, bottom - top + 1)


def published_box(mask: MaskArray) -> Box:
    """Return the box of a mask as the published evaluation of LWL derives it.

    It leaves out the last column and row: width and height are ``x_max - x_min`` and
    ``y_max - y_min``, but at least 1.

    Raises:
        PromptError: the mask is empty.
    """
    box = tight_box(mask)
    if box is None:
        raise PromptError("the mask is empty, so it has no box; mark the object")
    return Box(box.x, box.y, max(box.width - 1, 1.0), max(box.height - 1, 1.0))


def clipped_box(box: Box, size: tuple[int, int]) -> Box:
    """Return the part of a box inside a frame of this height and width, at least one pixel."""
    x, width = _clipped_interval(box.x, box.width, size[1])
    y, height = _clipped_interval(box.y, box.height, size[0])
    return Box(x, y, width, height)


def _clipped_interval(start: float, length: float, limit: int) -> tuple[float, float]:
    first = min(max(start, 0.0), limit - 1.0)
    return first, max(min(start + length, float(limit)) - first, 1.0)
