"""Write a short synthetic clip and its first mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from maskcast.io.label_maps import write_label_map

FRAMES, SIZE = 12, (120, 208)


def write_clip(folder: str | Path) -> None:
    """Write ``frames/00000.png`` … and ``mask.png``: a textured square that moves to the right."""
    root = Path(folder)
    (root / "frames").mkdir(parents=True)
    draw = np.random.default_rng(0)
    background = draw.integers(60, 120, (*SIZE, 3), np.uint8)
    square = draw.integers(150, 255, (40, 40, 3), np.uint8)
    for index in range(FRAMES):
        frame, left = background.copy(), 20 + 6 * index
        frame[40:80, left : left + 40] = square
        Image.fromarray(frame).save(root / "frames" / f"{index:05d}.png")
    mask = np.zeros(SIZE, np.int32)
    mask[40:80, 20:60] = 1
    write_label_map(root / "mask.png", mask)
