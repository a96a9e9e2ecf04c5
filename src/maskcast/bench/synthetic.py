"""Create synthetic frames, which are cheap and reproducible.

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
"""Side of a cell of the noise, in pixels."""


def synthetic_frame(objects: Sequence[tuple[Mask, float]], *, seed: int = 7) -> Frame:
    """Return smooth noise with brighter objects.

    Args:
        objects: mask and added brightness of each object, at least one; masks have one size.
        seed: seed of the noise.
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
    """Return the mask of a rectangle, clipped to the frame.

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
