"""Show objects alone: cut out with straight alpha, as a matte, or over another picture.

picture   height × width × 3   RGB, 8 bits
alpha     height × width       share of a pixel that belongs to the object, 0..1
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16

from maskcast.core.arrays import Picture

GREEN = (0, 177, 64)
"""Colour of a green screen, #00b140."""


def cut_out(
    picture: Picture, alpha: Float[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 4"]:
    """Return RGBA with straight alpha: colours are not multiplied by it.

    Where alpha is 0 after rounding, the pixel is transparent black.
    """
    rounded = in_8_bits(alpha)[..., None]
    return np.concatenate([np.where(rounded > 0, picture, np.uint8(0)), rounded], axis=2)


def in_8_bits(alpha: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """Return alpha from 0 to 255."""
    return np.asarray(np.rint(alpha * 255), dtype=np.uint8)


def in_16_bits(alpha: Float[np.ndarray, "height width"]) -> UInt16[np.ndarray, "height width"]:
    """Return alpha from 0 to 65535."""
    return np.asarray(np.rint(alpha * 65535), dtype=np.uint16)


def composite(front: Picture, alpha: Float[np.ndarray, "height width"], back: Picture) -> Picture:
    """Return ``front`` over ``back``."""
    share = alpha[..., None].astype(np.float32)
    mixed = back + share * (front.astype(np.float32) - back)
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def on_green(picture: Picture, alpha: Float[np.ndarray, "height width"]) -> Picture:
    """Return the objects on a green screen."""
    return composite(picture, alpha, np.full_like(picture, GREEN))


def linear_light(
    rgba: UInt8[np.ndarray, "height width 4"],
    alpha: Float[np.ndarray, "height width"],
) -> Float32[np.ndarray, "height width 4"]:
    """Return colours in linear light (sRGB's transfer function inverted), and alpha as given."""
    encoded = np.arange(256) / 255
    table = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    colours = table.astype(np.float32)[rgba[..., :3]]
    return np.concatenate([colours, alpha.astype(np.float32)[..., None]], axis=2)
