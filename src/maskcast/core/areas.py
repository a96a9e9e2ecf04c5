"""Areas of a frame: cut and locate them, and merge maps only where they may differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from maskcast.core.tensors import Size

BAND = 32
"""Rows that are merged together on a CPU, so that temporary results stay in its cache. Columns are
rounded to as many, so that vectorised kernels have no remainder, whose last bit may differ."""


class Area(NamedTuple):
    """A rectangle of whole pixels; ``bottom`` and ``right`` are the first row and column after it.

    It is empty if they are not larger than ``top`` and ``left``.
    """

    top: int
    left: int
    bottom: int
    right: int


def area_inside(size: Size, corner: Size, frame_size: Size) -> Area:
    """Return the part of a rectangle with this upper left corner that is inside the frame."""
    top, left = max(0, corner[0]), max(0, corner[1])
    bottom = max(top, min(frame_size[0], corner[0] + size[0]))
    right = max(left, min(frame_size[1], corner[1] + size[1]))
    return Area(top, left, bottom, right)


def window(
    pixels: Float[Tensor, "channels height width"], start: Size, stop: Size
) -> Float[Tensor, "channels _ _"]:
    """Return the pixels from ``start`` to ``stop`` (exclusive), with the border repeated."""
    for axis, first, last in zip((1, 2), start, stop, strict=True):
        length = pixels.shape[axis]
        if first >= 0 and last <= length:
            pixels = pixels.narrow(axis, first, last - first)
        else:
            positions = torch.arange(first, last, device=pixels.device).clamp(0, length - 1)
            pixels = pixels.index_select(axis, positions)
    return pixels


def moments(mass: np.ndarray) -> tuple[float, float]:
    """Return the mean position of masses along an axis, and four times its standard deviation."""
    positions = np.arange(len(mass))
    mean = float((positions * mass).sum() / mass.sum())
    variance = float((np.square(positions - mean) * mass).sum() / mass.sum())
    return mean, 4 * sqrt(max(variance, 0.0))


def merge_in_areas(
    maps: Sequence[Float[Tensor, "height width"]],
    areas: Sequence[Area | None],
    merge: Callable[[Tensor], Tensor],
) -> Float[Tensor, "objects height width"]:
    """Return ``merge`` of the stacked maps. On a CPU it is computed only where they may differ.

    Args:
        maps: one map per object.
        areas: where the map of an object may differ from a constant; None: everywhere.
        merge: has one result per map. It treats each pixel by itself, and returns 0 where all maps
            have their constant.
    """
    height, width = maps[0].shape
    if maps[0].device.type != "cpu":
        return merge(torch.stack(list(maps)))
    known = [Area(0, 0, height, width) if area is None else area for area in areas]
    merged = torch.zeros(len(maps), height, width)
    for band in range(0, height, BAND):
        top = max(0, min(band, height - BAND))
        rows = slice(top, min(top + BAND, height))
        within = [area for area in known if area.top < rows.stop and area.bottom > top]
        if not within:
            continue
        left = min(area.left for area in within) // BAND * BAND
        right = -(-max(area.right for area in within) // BAND) * BAND
        columns = slice(left, min(right, width))
        merged[:, rows, columns] = merge(torch.stack([one[rows, columns] for one in maps]))
    return merged
