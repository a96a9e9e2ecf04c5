"""Videos of coloured shapes that move over a dark scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch

from maskcast.core.arrays import Picture
from maskcast.io.weights.files import write_weights

SIZE = (180, 320)
"""Height and width."""
SIDE = 40
RED, GREEN = (230, 40, 40), (40, 210, 70)


def red_box(frame: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the red square, which moves to the right."""
    return 30 + 2 * frame, 30, 30 + 2 * frame + SIDE, 30 + SIDE


def green_box(frame: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the green square, which moves to the left."""
    return 250 - 2 * frame, 110, 250 - 2 * frame + SIDE, 110 + SIDE


def picture_of(frame: int, size: tuple[int, int] = SIZE) -> Picture:
    picture = np.full((*size, 3), 24, np.uint8)
    picture[:, :, 2] += (np.arange(size[1]) % 32).astype(np.uint8)
    for (left, top, right, bottom), colour in ((red_box(frame), RED), (green_box(frame), GREEN)):
        picture[top:bottom, max(0, left) : max(0, right)] = colour
    return picture


LOST, JUMP = range(20, 26), 33
"""Frames without the green square, and the frame from which on the red one is larger."""


def planted_picture(frame: int, size: tuple[int, int] = SIZE) -> Picture:
    """Return a frame on which one square is lost for a while, and the other one grows at once."""
    picture = picture_of(frame, size)
    left, top, right, bottom = green_box(frame)
    if frame in LOST:
        picture[top:bottom, left:right] = picture[0, left:right]
    left, top, right, bottom = red_box(frame)
    if frame >= JUMP:
        picture[top : bottom + SIDE // 2, left : right + SIDE // 2] = RED
    return picture


def write_clip(
    path: Path,
    count: int,
    size: tuple[int, int] = SIZE,
    rate: int = 25,
    draw: Callable[[int, tuple[int, int]], Picture] = picture_of,
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "12", "preset": "ultrafast"}
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(draw(index, size), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def write_stand_in_weights(path: Path) -> None:
    write_weights(
        path,
        method="colours",
        config={},
        tensors={"colour_bias": torch.zeros(())},
        card={"licence": "none needed"},
    )
