"""Edges of objects for compositing: alpha from masks, and colours without their background.

    picture   height × width × 3   RGB, 8 bits
    mask      height × width       bool
    alpha     height × width       float32, share of a pixel that belongs to the object, 0..1

``refined`` edges follow those of the picture: a guided filter moves the contour to them, twice, and
makes it soft. From this first guess, closed-form matting finds the alpha that fits the colours near
the contour. ``matted`` edges do so from the mask itself. Neither needs probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32

from maskcast.core.arrays import MaskArray, Picture
from maskcast.viz.guided_filter import GuidedFilter, window_sums
from maskcast.viz.matting import matted

MOVING = (1 / 24, 1 / 36)
"""Radii of the filters that move the contour, as shares of the frame's shorter side."""
FARTHEST = 1 / 90
"""How far the contour moves at most, likewise: thin parts of faint objects keep their core."""
NEARBY = 1 / 18
"""Radius in which colours of object and background are averaged, likewise."""
COARSE = 360
"""Shorter side of a frame in pixels from whose multiples on the moving filters work in blocks."""
SOFTENING = 1 / 144
"""Radius of the filter that makes the contour soft, likewise."""
MOVING_EPSILON, SOFTENING_EPSILON = 1e-4, 1e-3
"""Variances of colours, in (0..1)², below which the filters smooth: textures count less at the end.
"""
CERTAIN = 0.1
"""Alpha up to this, or from 1 minus this, becomes 0 or 1; what lies between is stretched."""
MATTED = 1 / 36
"""How far from the contour colours decide about alpha, likewise."""
TRUST = 0.1
"""Weight of the first guess there; colours count with up to 1 per window."""


@dataclass(frozen=True, kw_only=True)
class EdgeSettings:
    """How alpha is made from masks."""

    kind: Literal["hard", "soft", "refined", "matted"] = "hard"
    grow: int = 0
    """Pixels by which objects grow in all directions; negative shrinks them."""
    feather: float = 0.0
    """Standard deviation, in pixels, of the Gaussian that blurs alpha at the end."""
    fill_holes: int = 0
    """Largest hole, in pixels, that is filled."""


def alpha_of(
    picture: Picture,
    mask: MaskArray,
    settings: EdgeSettings,
    probability: Float32[np.ndarray, "height width"] | None = None,
) -> Float32[np.ndarray, "height width"]:
    """Return the alpha of an object.

    Args:
        picture: the frame.
        mask: the object.
        settings: holes are filled first; then the object grows, its edges are made, and alpha is
            feathered.
        probability: the method's probability that a pixel belongs to the object, for soft edges.
    """
    whole = fill_holes(mask, settings.fill_holes) if settings.fill_holes else mask
    if settings.kind == "soft" and probability is not None:
        alpha = np.where(whole & ~mask, np.float32(1), probability)
        return feathered(grown(alpha, settings.grow), settings.feather)
    mask = grown(whole, settings.grow)
    alpha = mask.astype(np.float32)
    if settings.kind == "refined":
        alpha = refined(picture, mask)
    elif settings.kind == "matted":
        alpha = matted_from(picture, alpha)
    return feathered(alpha, settings.feather)


def refined(picture: Picture, mask: MaskArray) -> Float32[np.ndarray, "height width"]:
    """Return alpha whose edges follow those of the picture near the contour of a tracked mask."""
    shorter = min(mask.shape)
    *moving, softening = (max(2, round(share * shorter)) for share in (*MOVING, SOFTENING))
    box = _box_around(mask, 3 * max(moving))
    alpha = np.zeros(mask.shape, np.float32)
    if box is None:
        return alpha
    guide, step = picture[box] / 255, max(1, round(shorter / COARSE))
    farthest = max(3, round(FARTHEST * shorter))
    core, reach = grown(mask[box], -farthest), grown(mask[box], farthest)
    core |= mask[box] & ~grown(core, farthest + 1)  # thin parts, which would vanish
    inside = mask[box].astype(np.float64)
    for radius in moving:
        moved = GuidedFilter(guide, radius, MOVING_EPSILON, step=step)(inside) >= 0.5
        inside = ((moved | core) & reach).astype(np.float64)
    soft = GuidedFilter(guide, softening, SOFTENING_EPSILON)(inside)
    stretched = np.clip((soft - CERTAIN) / (1 - 2 * CERTAIN), 0, 1)
    alpha[box] = np.where(core, 1, stretched)
    return matted_from(picture, alpha)


def matted_from(
    picture: Picture, guess: Float32[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width"]:
    """Return the alpha that fits the colours near the contour of a mask or of a first guess."""
    reach = max(3, round(MATTED * min(guess.shape)))
    box = _box_around(guess > 0, reach + 2)
    alpha = guess.copy()
    if box is not None:
        first_alpha = np.ascontiguousarray(guess[box])
        new_alpha = matted(
            torch.from_numpy(picture[box].astype(np.float32) / 255),
            torch.from_numpy(first_alpha),
            torch.from_numpy(_between(first_alpha, reach)),
            trust=TRUST,
        )
        alpha[box] = new_alpha.numpy()
    return alpha


def _between(alpha: Float[np.ndarray, "height width"], reach: int) -> MaskArray:
    """Return the pixels in whose neighbourhood are both the object and its background."""
    count = window_sums(np.ones(alpha.shape), reach)
    mean = window_sums(alpha, reach) / count
    return np.asarray((mean > 1e-6) & (mean < 1 - 1e-6))


def foreground_colours(picture: Picture, alpha: Float[np.ndarray, "height width"]) -> Picture:
    """Return the colours of an object without the share of the background in them.

    Colours of object and background are averaged nearby, and the object's are then corrected so
    that both together give the picture ("blur fusion": Forte, arXiv:2101.06014). They continue a
    little beyond the object, where compression would otherwise mix in another colour; further away
    the result is black.
    """
    radius = max(4, round(NEARBY * min(alpha.shape)))
    box = _box_around(alpha > 0, 2 * radius)
    colours = np.zeros_like(picture)
    if box is None:
        return colours
    share, seen = alpha[box].astype(np.float64)[..., None], picture[box].astype(np.float64)
    front = _averaged(seen, share**4, radius)  # mixed pixels hardly count
    back = _averaged(seen, (1 - share) ** 4, radius)
    front += share * (seen - share * front - (1 - share) * back)
    near = window_sums(share, radius) > 0.01
    estimated = np.where(near, np.clip(np.rint(front), 0, 255), 0)
    colours[box] = np.where(share < 1, estimated, seen).astype(np.uint8)
    return colours


def _averaged(seen: np.ndarray, weight: np.ndarray, radius: int) -> np.ndarray:
    total = window_sums(weight, radius)
    return np.asarray((window_sums(seen * weight, radius) + 1e-6 * seen) / (total + 1e-6))


def grown(values: np.ndarray, pixels: int) -> np.ndarray:
    """Return a mask or alpha grown by a disc of this radius; a negative one shrinks it.

    Outside the image there is neither object nor background.
    """
    if pixels == 0:
        return values
    if pixels < 0:
        return ~grown(~values, -pixels) if values.dtype == bool else 1 - grown(1 - values, -pixels)
    result = values.copy()
    height, width = values.shape
    for down in range(-pixels, pixels + 1):
        reach = int((pixels**2 - down**2) ** 0.5)
        rows = slice(max(0, down), height + min(0, down))
        moved = values[max(0, -down) : height - max(0, down)]
        wide = moved.copy()
        span = 0
        while span < reach:  # each pass at most doubles the width that a pixel has spread over
            step = min(span + 1, reach - span)
            spread = wide.copy()
            np.maximum(spread[:, step:], wide[:, : width - step], out=spread[:, step:])
            np.maximum(spread[:, : width - step], wide[:, step:], out=spread[:, : width - step])
            wide, span = spread, span + step
        np.maximum(result[rows], wide, out=result[rows])
    return result


def feathered(
    alpha: Float32[np.ndarray, "height width"], sigma: float
) -> Float32[np.ndarray, "height width"]:
    """Return alpha blurred by a Gaussian of this standard deviation in pixels."""
    if sigma <= 0:
        return alpha
    reach = max(1, round(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    blurred: Any = alpha
    for axis in (0, 1):
        padding = [(reach, reach) if other == axis else (0, 0) for other in (0, 1)]
        padded = np.pad(blurred, padding, mode="edge")
        length = alpha.shape[axis]
        parts = (
            weight * padded.take(range(shift, shift + length), axis=axis)
            for shift, weight in enumerate(kernel.tolist())
        )
        blurred = sum(parts, start=np.zeros_like(alpha))
    return np.asarray(np.clip(blurred, 0, 1))


def fill_holes(mask: MaskArray, most: int) -> MaskArray:
    """Fill parts of the background that the object encloses, up to ``most`` pixels each."""
    box = _box_around(mask, 1)
    if box is None:
        return mask
    filled = mask.copy()
    inner = filled[box]
    outside = _connected(~inner, _on_border(inner.shape))
    for_filling = ~inner & ~outside
    while for_filling.any():
        seed = np.zeros_like(for_filling)
        seed.flat[int(for_filling.argmax())] = True
        hole = _connected(for_filling, seed)
        for_filling &= ~hole
        if hole.sum() <= most:
            inner |= hole
    return filled


def _on_border(shape: tuple[int, ...]) -> Bool[np.ndarray, "height width"]:
    border = np.ones(shape, dtype=bool)
    border[1:-1, 1:-1] = False
    return border


def _connected(free: MaskArray, seeds: MaskArray) -> MaskArray:
    """Return the pixels that are connected to a seed through free ones, along rows and columns."""
    reached: MaskArray = seeds & free
    while True:
        before = int(reached.sum())
        for turn in _TURNS:
            turned, blocked = turn(reached), ~turn(free)
            _sweep(turned, blocked)
        if int(reached.sum()) == before:
            return reached


_TURNS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda view: view,
    lambda view: view[:, ::-1],
    lambda view: view.T,
    lambda view: view.T[:, ::-1],
)


def _sweep(reached: MaskArray, blocked: MaskArray) -> None:
    """Spread along rows to the right, up to the next blocked pixel, in place."""
    positions = np.arange(reached.shape[1])
    seed = np.maximum.accumulate(np.where(reached, positions, -1), axis=1)
    wall = np.maximum.accumulate(np.where(blocked, positions, -1), axis=1)
    reached |= seed > wall


def _box_around(mask: MaskArray, margin: int) -> tuple[slice, slice] | None:
    """Return the rows and columns of the mask and of a margin around it; None if it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )
