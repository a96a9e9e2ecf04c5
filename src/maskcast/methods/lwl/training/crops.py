"""Crop training frames around a jittered box, exactly as in the published training of LWL.

image    3 × height × width   uint8 RGB
mask     height × width       uint8: 1 object, 0 background, 255 void
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, floor, sqrt

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from maskcast.core.types import Box
from maskcast.methods.lwl.training.clip_settings import BoxJitter


@dataclass(frozen=True)
class TrainingCrop:
    """A crop of one frame around its target, resized."""

    image: UInt8[Tensor, "3 height width"]
    mask: UInt8[Tensor, "height width"]
    target: Box
    """Box of the target in pixels of the resized crop; may extend beyond the crop."""
    area: tuple[int, int, int, int]
    """x, y, width and height of the crop in pixels of the frame; may extend beyond the frame."""


def training_crop(
    image: UInt8[Tensor, "3 frame_height frame_width"],
    mask: UInt8[Tensor, "frame_height frame_width"],
    box: Box,
    *,
    target: Box | None = None,
    size: tuple[int, int],
    search_area: float = 5.0,
) -> TrainingCrop:
    """Crop a patch around a (jittered) box and resize it, as in the training of LWL.

    The patch has the aspect ratio of ``size`` and ``search_area²`` times the area of the box. It is
    shrunk until one of its sides fits into the frame ("inside-major") and moved into the frame.
    Parts that still lie outside repeat the border of the image and are background in the mask.

    The published training treats the last column (row) of the frame as outside if the patch touches
    or crosses the right (bottom) border. This is reproduced, because weights were trained with it.

    Args:
        image: the frame.
        mask: mask of the object, any integers; resized with nearest-neighbour sampling.
        box: box to centre on, in pixels of the frame.
        target: box to map into the crop; None for ``box``.
        size: height and width of the result in pixels.
        search_area: ratio of the patch's side to the box's side, both as geometric means.
    """
    frame_size = (image.shape[1], image.shape[2])
    x, y, width, height = inside_major_area(box, frame_size, size, search_area)
    rows = _replicated_indices(y, height, image.shape[1])
    columns = _replicated_indices(x, width, image.shape[2])
    scale_x, scale_y = size[1] / width, size[0] / height
    mapped = target or box
    return TrainingCrop(
        _resize_bilinear(_cut(image, rows, columns), size),
        _cut_mask_to_size(mask, (x, y, width, height), size),
        Box(
            (mapped.x - x) * scale_x,
            (mapped.y - y) * scale_y,
            mapped.width * scale_x,
            mapped.height * scale_y,
        ),
        (x, y, width, height),
    )


def inside_major_area(
    box: Box, frame_size: tuple[int, int], size: tuple[int, int], search_area: float
) -> tuple[int, int, int, int]:
    """Return x, y, width, height of the patch, with the rounding of the published training."""
    frame_height, frame_width = frame_size
    ratio = np.sqrt(np.float32(box.width) * np.float32(box.height) / np.float32(size[0] * size[1]))
    width = ceil(np.float32(search_area) * np.float32(size[1]) * ratio)
    height = ceil(np.float32(search_area) * np.float32(size[0]) * ratio)
    shrink = max(1.0, min(width / frame_width, height / frame_height))
    width, height = max(1, floor(width / shrink)), max(1, floor(height / shrink))
    return (
        _inside(round(box.x + box.width / 2 - width / 2), width, frame_width),
        _inside(round(box.y + box.height / 2 - height / 2), height, frame_height),
        width,
        height,
    )


def _inside(start: int, length: int, frame_length: int) -> int:
    """Shift an interval into the frame; centre it if it is longer than the frame."""
    start += max(0, -start) + min(0, frame_length - (start + length))
    outside = (max(0, -start) + max(0, start + length - frame_length)) // 2
    return -outside if outside > 0 else start


def _last_inside(start: int, length: int, frame_length: int) -> int:
    """Return the last row or column that counts as inside; see ``training_crop``."""
    return frame_length - 2 if start + length >= frame_length else frame_length - 1


def _replicated_indices(start: int, length: int, frame_length: int) -> Tensor:
    """Return the rows or columns to read for a patch; the border repeats outside the frame."""
    last = max(0, _last_inside(start, length, frame_length))
    return torch.arange(start, start + length).clamp_(0, last)


def _cut(image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return image.index_select(1, rows).index_select(2, columns)


def _resize_bilinear(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize with half-pixel bilinear sampling, without antialiasing, rounded to 8 bits."""
    batch = image.unsqueeze(0).contiguous(memory_format=torch.channels_last)
    return functional.interpolate(batch, size=size, mode="bilinear", align_corners=False)[
        0
    ].contiguous()


def _cut_mask_to_size(
    mask: Tensor, area: tuple[int, int, int, int], size: tuple[int, int]
) -> Tensor:
    """Crop and resize a mask in one step: row i of the result is row ``floor(i·height / size)``."""
    x, y, width, height = area
    rows = y + torch.arange(size[0]) * height // size[0]
    columns = x + torch.arange(size[1]) * width // size[1]
    last_row = _last_inside(y, height, mask.shape[0])
    last_column = _last_inside(x, width, mask.shape[1])
    outside_rows = (rows < 0) | (rows > last_row)
    outside_columns = (columns < 0) | (columns > last_column)
    cut = mask.index_select(0, rows.clamp(0, mask.shape[0] - 1))
    cut = cut.index_select(1, columns.clamp(0, mask.shape[1] - 1))
    cut[outside_rows] = 0
    cut[:, outside_columns] = 0
    return cut


def part_of(
    label: UInt8[Tensor, "frame_height frame_width"], area: tuple[int, int, int, int]
) -> UInt8[Tensor, "height width"]:
    """Return the part of a mask inside an area (x, y, width, height), clipped to the frame."""
    x, y, width, height = area
    return label[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)]


def jitter_box(box: Box, jitter: BoxJitter, generator: np.random.Generator) -> Box:
    """Scale each axis by ``exp(a·n)``, ``n ~ N(0, 1)``, and shift by ``b·u``, ``u ~ U(-½, ½)``."""
    noise = generator.standard_normal(2)
    width = box.width * exp(jitter.log_size * noise[0])
    height = box.height * exp(jitter.log_size * noise[1])
    shift = generator.uniform(-0.5, 0.5, 2) * jitter.shift * sqrt(width * height)
    centre_x = box.x + box.width / 2 + shift[0]
    centre_y = box.y + box.height / 2 + shift[1]
    return Box(centre_x - width / 2, centre_y - height / 2, width, height)
