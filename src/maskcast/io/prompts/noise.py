"""Find the traces of lossy compression in a mask that was saved again without loss.

JPEG, WebP and video codecs leave levels beside the flat ones: 1 and 2 beside 0, 253 and 254 beside
255. As object ids they would be objects that nobody painted.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from maskcast.io.prompts.soft_edges import (
    SMALLEST,
    TOLERANCE,
    Codes,
    Colours,
    Settled,
    solid_pixels,
)

LEAST_CONTRAST = 64.0
"""Minimum difference between two levels; values of label maps with few objects are closer."""
MOST_FLAT_NOISE = 3.0
"""Maximum difference between two flat levels of which one is noise; painted ones differ more."""
LEAST_LONELY = 8
"""Pixels without a neighbour of their level, from which levels are noise beside sharp edges."""
LONELY_SHARE = 0.25
"""Minimum share of such pixels; thin objects have fewer."""


def has_noise(settled: Settled, colours: Colours) -> bool:
    """Return whether levels that remain differ so little that they come from compression.

    Such levels are noise in a picture with soft edges, which cannot keep them apart either. In a
    picture with sharp edges they are noise if their pixels are scattered.
    """
    kept = np.unique(settled.codes)
    if len(kept) < 3 or min(settled.codes.shape) < SMALLEST:
        return False
    differ = np.abs(colours[kept][:, None] - colours[kept]).max(axis=2)
    is_flat = np.isin(kept, settled.codes[solid_pixels(settled.codes)])
    tolerance = np.where(is_flat[:, None] & is_flat, MOST_FLAT_NOISE, TOLERANCE)
    close = (differ <= tolerance) & ~np.eye(len(kept), dtype=bool)
    if differ.max() < LEAST_CONTRAST or not close.any():
        return False
    if settled.moved:
        return True
    noisy = kept[~is_flat & close[:, is_flat].any(axis=1)]
    lonely, pixels = _lonely(settled.codes, noisy)
    return lonely >= max(LEAST_LONELY, LONELY_SHARE * pixels)


def _lonely(codes: Codes, levels: Int[np.ndarray, " levels"]) -> tuple[int, int]:
    """Return how many pixels of some levels have no neighbour of their level, and how many are."""
    padded = np.pad(codes, 1, constant_values=-1)
    middle = padded[1:-1, 1:-1]
    beside = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    has_neighbour: Bool[np.ndarray, "height width"] = np.any(
        [other == middle for other in beside], axis=0
    )
    chosen = np.isin(codes, levels)
    return int((chosen & ~has_neighbour).sum()), int(chosen.sum())
