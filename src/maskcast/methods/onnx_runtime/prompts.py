"""Prompts, and the masks that a step returns."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

Size: TypeAlias = tuple[int, int]

VISIBLE = 0.5

ABSENT = "absent"


class Box(NamedTuple):
    """A box in pixels of the frame; ``x`` and ``y`` are its upper left corner."""

    x: float
    y: float
    width: float
    height: float


class Masks(NamedTuple):
    """Soft masks of the objects in one frame; the rest of each pixel is background."""

    ids: tuple[int, ...]
    probs: Array
    presence: tuple[float, ...] | None

    def label_map(self) -> Array:
        """Return the id of the most probable object at each pixel, or 0 for the background."""
        best = 1 - self.probs.sum(axis=0)
        labels = np.zeros(best.shape, np.int64)
        for object_id, probs in zip(self.ids, self.probs, strict=True):
            labels[probs > best] = object_id
            best = np.maximum(best, probs)
        return labels


def is_absent(prompt: Any) -> bool:
    """Return whether a prompt is the mark of an absence."""
    return isinstance(prompt, str) and prompt == ABSENT


def checked_mask(mask: Any, size: Size) -> Array:
    """Return a mask as a boolean array of the size of the frame."""
    array = np.asarray(mask, bool)
    if array.shape != size:
        raise ValueError(f"a mask is {array.shape} but the frame is {size}")
    if not array.any():
        raise ValueError("a mask is empty; mark the object, or give ABSENT")
    return array


def box_of(mask: Array) -> Box:
    """Return the box of a mask without its last row and column, as published."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    sides = float(columns[-1] - columns[0]), float(rows[-1] - rows[0])
    return Box(float(columns[0]), float(rows[0]), max(sides[0], 1.0), max(sides[1], 1.0))


def clipped_box(box: Box, size: Size) -> Box:
    """Return the part of a box inside the frame, at least one pixel."""
    left, top = (min(max(at, 0.0), side - 1.0) for at, side in ((box.x, size[1]), (box.y, size[0])))
    width = max(min(box.x + box.width, float(size[1])) - left, 1.0)
    return Box(left, top, width, max(min(box.y + box.height, float(size[0])) - top, 1.0))


def presence_from(confidence: float, limit: float) -> float:
    """Map a confidence to a presence, in which the threshold becomes 0.5."""
    if confidence < limit:
        return VISIBLE * confidence / limit
    return VISIBLE + (1 - VISIBLE) * (confidence - limit) / (1 - limit)
