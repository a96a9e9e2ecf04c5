"""Resize feature maps, with half-pixel centres (``align_corners=False``), without antialiasing.

Maps that already have the size are returned unchanged.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def resize_bilinear(
    maps: Float[Tensor, "batch channels height width"], size: tuple[int, int]
) -> Float[Tensor, "batch channels new_height new_width"]:
    """Resize to ``(height, width)`` by bilinear interpolation."""
    if tuple(maps.shape[-2:]) == size:
        return maps
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def resize_bicubic(
    maps: Float[Tensor, "batch channels height width"], size: tuple[int, int]
) -> Float[Tensor, "batch channels new_height new_width"]:
    """Resize to ``(height, width)`` by bicubic interpolation (a = -0.75); values may overshoot."""
    if tuple(maps.shape[-2:]) == size:
        return maps
    return functional.interpolate(maps, size=size, mode="bicubic", align_corners=False)
