"""Synthetic frames: their content costs nothing to make and is the same everywhere.

mask    height × width
frame   3 × height × width
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from maskcast.core.types import Frame, Mask

FRAME_SIZE = (480, 854)
"""Height and width of the frames of DAVIS, in pixels."""
COARSE = 16
"""Pixels per cell of the noise."""


def synthetic_frame(objects: Sequence[tuple[Mask, float]], *, seed: int = 7) -> Frame:
    """Return smooth noise with brighter objects.

    Args:
        objects: region and added brightness of each object, at least one; all of one size.
        seed: of the noise.
    """
    height, width = objects[0][0].shape
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // COARSE, width // COARSE, generator=generator)
    frame = functional.interpolate(coarse, (height, width), mode="bilinear")[0]
    for mask, brightness in objects:
        frame[:, mask] += brightness
    return frame.clamp(0, 1)


def rectangle(
    size: tuple[int, int], *, top: int, left: int, height: int = 120, width: int = 120
) -> Mask:
    """Return the region of a rectangle; what lies outside the frame is cut off.

    Args:
        size: height and width of the frame.
        top: first row.
        left: first column.
        height: number of rows.
        width: number of columns.
    """
    mask = torch.zeros(size, dtype=torch.bool)
    mask[top : top + height, left : left + width] = True
    return mask
