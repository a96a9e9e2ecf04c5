"""Rotate, scale and flip a frame together with its mask (OpenCV's conventions, in torch)."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from torch import Tensor

from maskcast.core.errors import DataError
from maskcast.core.types import Frame

DECLARED_DEGREES = (-30.0, 30.0)
DECLARED_SCALE = (0.5, 1.0)
"""Interval as declared for meta-training; only its width is used, see ``centred``."""
MOST_DRAWS = 1000


@dataclass(frozen=True)
class Warp:
    """A rotation (degrees, counter-clockwise) and a scale about the centre of the frame."""

    degrees: float
    scale: float


def centred(declared: tuple[float, float], u: float, middle: float) -> float:
    """Map a uniform u in [0, 1) to the interval around ``middle`` with the declared width.

    The published system uses only the width, so (0.5, 1.0) means [0.75, 1.25).
    """
    width = declared[1] - declared[0]
    return width * u - width / 2 + middle


def draw_warp(generator: torch.Generator | None = None) -> Warp:
    """Draw a rotation from [−30°, 30°) and a scale from [0.75, 1.25), both uniformly."""
    u, v = torch.rand(2, generator=generator).tolist()
    return Warp(centred(DECLARED_DEGREES, u, 0.0), centred(DECLARED_SCALE, v, 1.0))


def warp_frame(frame: Frame, warp: Warp) -> Frame:
    """Warp a frame with cubic interpolation, black outside; overshoot is not clipped."""
    grid = _sampling_grid(frame, warp)
    sampled: Tensor = F.grid_sample(
        frame[None], grid, mode="bicubic", padding_mode="zeros", align_corners=True
    )
    return sampled[0]


def warp_label_map(
    label_map: Integer[Tensor, "height width"], warp: Warp
) -> Integer[Tensor, "height width"]:
    """Warp a label map with nearest-neighbour interpolation, background outside."""
    values = label_map.to(torch.float32)[None, None]
    sampled: Tensor = F.grid_sample(
        values, _sampling_grid(values[0], warp), mode="nearest", align_corners=True
    )
    return sampled[0, 0].to(label_map.dtype)


def _sampling_grid(picture: Tensor, warp: Warp) -> Float[Tensor, "1 height width 2"]:
    """Return the source of each pixel, for a warp about (width / 2, height / 2)."""
    height, width = picture.shape[-2:]
    turn = radians(warp.degrees)
    alpha, beta = cos(turn) / warp.scale, sin(turn) / warp.scale
    x = torch.arange(width, device=picture.device, dtype=picture.dtype) - width / 2
    y = torch.arange(height, device=picture.device, dtype=picture.dtype)[:, None] - height / 2
    source_x = alpha * x - beta * y + width / 2
    source_y = beta * x + alpha * y + height / 2
    span_x, span_y = max(width - 1, 1), max(height - 1, 1)
    return torch.stack([2 * source_x / span_x - 1, 2 * source_y / span_y - 1], dim=-1)[None]


def draw_visible_warp(
    label_map: Integer[Tensor, "height width"], generator: torch.Generator | None = None
) -> Warp:
    """Draw a warp after which the label map still shows the object.

    Raises:
        DataError: no such warp was drawn in ``MOST_DRAWS`` attempts.
    """
    for _ in range(MOST_DRAWS):
        warp = draw_warp(generator)
        if (warp_label_map(label_map, warp) == 1).any():
            return warp
    raise DataError(
        f"the object left the frame in {MOST_DRAWS} random rotations and scales; it is too small, "
        "or too close to a corner for augmentation"
    )


def flip(
    frame: Frame, label_map: Integer[Tensor, "height width"]
) -> tuple[Frame, Integer[Tensor, "height width"]]:
    """Mirror a frame and its label map horizontally."""
    return frame.flip(-1), label_map.flip(-1)


def augment_spatially(
    frame: Frame,
    label_map: Integer[Tensor, "height width"],
    generator: torch.Generator | None = None,
) -> tuple[Frame, Integer[Tensor, "height width"]]:
    """Flip with probability 0.5, then rotate and scale, for fine-tuning on the first frame."""
    if float(torch.rand((), generator=generator)) < 0.5:
        frame, label_map = flip(frame, label_map)
    warp = draw_visible_warp(label_map, generator)
    return warp_frame(frame, warp), warp_label_map(label_map, warp)
