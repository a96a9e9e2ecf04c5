"""Hide objects, or everything else: blurred, pixelated or black.

Blurring and pixelating do not always make a person or a text unrecognisable; black does.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageFilter

from maskcast.core.arrays import Picture
from maskcast.viz.cut_outs import composite

Hiding: TypeAlias = Literal["blur", "pixelate", "black"]
BLUR = 1 / 25
"""Standard deviation of the blur, as a share of the frame's shorter side."""
BLOCKS = 24
"""Blocks of the pixelated picture along the frame's shorter side."""


def hide(
    picture: Picture,
    alpha: Float[np.ndarray, "height width"],
    how: Hiding,
    *,
    background: bool = False,
) -> Picture:
    """Return a picture in which a region is hidden.

    Args:
        picture: the frame.
        alpha: the objects, 0..1.
        how: how the region is hidden.
        background: whether to hide everything but the objects.
    """
    share = 1 - alpha if background else alpha
    return composite(_hidden(picture, how), share, picture)


def _hidden(picture: Picture, how: Hiding) -> Picture:
    height, width, _ = picture.shape
    shorter = min(height, width)
    match how:
        case "black":
            return np.zeros_like(picture)
        case "blur":
            blur = ImageFilter.GaussianBlur(max(1.0, BLUR * shorter))
            return np.asarray(Image.fromarray(picture).filter(blur))
    side = max(2, round(shorter / BLOCKS))
    blocks = Image.fromarray(picture).reduce(side)
    large = blocks.resize((blocks.width * side, blocks.height * side), Image.Resampling.NEAREST)
    return np.asarray(large)[:height, :width]
