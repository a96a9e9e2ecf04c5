"""Resize pictures of data sets and synthetic clips."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def resize_picture(
    picture: Float[Tensor, "channels height width"], size: tuple[int, int]
) -> Float[Tensor, "channels new_height new_width"]:
    """Resize a picture (0..1) to ``(height, width)``, bilinear and antialiased, clamped to 0..1."""
    return functional.interpolate(
        picture.unsqueeze(0), size=size, mode="bilinear", antialias=True, align_corners=False
    )[0].clamp_(0, 1)
