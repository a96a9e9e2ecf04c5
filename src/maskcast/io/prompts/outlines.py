"""Masks and boxes as annotation programs write them: run lengths, polygons, rectangles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pycocotools.mask

from maskcast.core.arrays import MaskArray
from maskcast.core.errors import PromptError
from maskcast.core.marks import Box, pixels_if_normalised
from maskcast.io.rle import decode_mask

FAR_OUT = 0.05
"""Share of the frame's longer side that a box of a detector may reach out of it."""
FARTHEST = 4
"""Maximum magnitude of a polygon's coordinates, in multiples of the frame's longer side."""


def segmentation_mask(segmentation: Any, size: tuple[int, int]) -> MaskArray:
    """Return the mask of a COCO annotation: polygons, run lengths of either form, or its rows.

    Args:
        segmentation: value of the field ``segmentation``.
        size: height and width of the picture.

    Raises:
        PromptError: the value is malformed, or has another size.
    """
    if isinstance(segmentation, dict):
        mask = decode_mask(segmentation)
        reject_other_size(mask.shape, size)
        return mask
    if isinstance(segmentation, list) and segmentation:
        if _are_rows(segmentation, size):
            return np.array(segmentation, dtype=bool)
        is_flat = all(_is_number(value) for value in segmentation)
        return fill([segmentation] if is_flat else segmentation, size)
    raise PromptError("an annotation has no segmentation")


def reject_other_size(drawn: tuple[Any, ...], size: tuple[int, int]) -> None:
    """Raise ``PromptError`` if the height and width of an image are not those of the frames."""
    if drawn != size:
        raise PromptError(
            f"a mask was drawn on an image of {drawn[0]}×{drawn[1]} (height × width) but the "
            f"frames are {size[0]}×{size[1]}"
        )


def fill(polygons: Sequence[Any], size: tuple[int, int]) -> MaskArray:
    """Rasterise polygons in COCO's way, each a flat list x, y, x, y, ..."""
    for polygon in polygons:
        are_numbers = isinstance(polygon, list) and all(
            _is_number(value) and abs(value) <= FARTHEST * max(size) for value in polygon
        )
        if not are_numbers or len(polygon) < 6 or len(polygon) % 2:
            raise PromptError("a polygon must be a flat list of at least three points x, y")
    height, width = size
    numbers = [value for polygon in polygons for value in polygon]
    if min(size) > 1 and any(numbers) and all(0 <= value <= 1 for value in numbers):
        raise PromptError("a polygon seems to be in fractions of the frame; write pixels")
    parts = pycocotools.mask.frPyObjects([list(map(float, p)) for p in polygons], height, width)
    filled: MaskArray = pycocotools.mask.decode(pycocotools.mask.merge(parts)).astype(bool)
    return filled


def box_within(sides: Any, size: tuple[int, int], *, may_be_corners: bool = False) -> Box:
    """Return the part of a box inside the frame.

    Args:
        sides: x, y, width and height in pixels, as in a file.
        size: height and width of the frame.
        may_be_corners: whether a box that reaches far out of the frame, but would not if it were
            two corners, is rejected.

    Raises:
        PromptError: the value is malformed, in fractions of the frame, or outside it.
    """
    is_box = isinstance(sides, list | tuple) and len(sides) == 4
    if not is_box or not all(_is_number(side) and abs(side) < 1e6 for side in sides):
        raise PromptError(f"a bbox must be [x, y, width, height], got {str(sides)[:40]}")
    box = Box(*sides)
    if (hint := pixels_if_normalised(box, size)) is not None:
        raise PromptError(f"a box seems to be in fractions of the frame; in pixels it is [{hint}]")
    left, top = max(box.x, 0), max(box.y, 0)
    right, bottom = min(box.x + box.width, size[1]), min(box.y + box.height, size[0])
    if right <= left or bottom <= top:
        raise PromptError("a rectangle lies outside the frame")
    over = max(box.x + box.width - size[1], box.y + box.height - size[0])
    if may_be_corners and over > FAR_OUT * max(size) and _fits_as_corners(box, size):
        corners = f"[{box.x:g}, {box.y:g}, {box.width - box.x:g}, {box.height - box.y:g}]"
        raise PromptError(
            f"a bbox extends outside the frame; if it is two corners, write {corners} instead"
        )
    return Box(left, top, right - left, bottom - top)


def _fits_as_corners(box: Box, size: tuple[int, int]) -> bool:
    return 0 <= box.x < box.width <= size[1] and 0 <= box.y < box.height <= size[0]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _are_rows(segmentation: list[Any], size: tuple[int, int]) -> bool:
    return len(segmentation) == size[0] and all(
        isinstance(row, list) and len(row) == size[1] and all(value in (0, 1) for value in row)
        for row in segmentation
    )
