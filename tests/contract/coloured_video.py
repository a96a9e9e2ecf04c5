"""A tiny synthetic video: coloured squares that move over a dark, slightly noisy scene."""

from __future__ import annotations

import torch

from maskcast.core.types import Frame, Mask

COLOURS = {1: (0.9, 0.1, 0.1), 2: (0.1, 0.8, 0.2), 300: (0.2, 0.3, 0.95), 70000: (0.9, 0.9, 0.1)}
SIZE = (24, 32)
SIDE = 7


def true_mask(object_id: int, frame_index: int, size: tuple[int, int] = SIZE) -> Mask:
    """Return where the square of an object is: a row of its own, one pixel further per frame."""
    row = 1 + 8 * (list(COLOURS).index(object_id) % 3)
    column = (2 + 9 * (list(COLOURS).index(object_id) // 3) + frame_index) % (size[1] - SIDE)
    mask = torch.zeros(size, dtype=torch.bool)
    mask[row : row + SIDE, column : column + SIDE] = True
    return mask


def frames(
    count: int, ids: tuple[int, ...] = (1, 2), *, seed: int = 0, size: tuple[int, int] = SIZE
) -> list[Frame]:
    """Return ``count`` frames with the squares of ``ids``."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for frame_index in range(count):
        frame = 0.1 + 0.05 * torch.rand(3, *size, generator=generator)
        for object_id in ids:
            noise = 0.05 * torch.rand(3, SIDE * SIDE, generator=generator)
            colour = torch.tensor(COLOURS[object_id])[:, None]
            frame[:, true_mask(object_id, frame_index, size)] = (colour + noise).clamp(0, 1)
        made.append(frame)
    return made
