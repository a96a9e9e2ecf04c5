"""Contour accuracy F (Perazzi et al., CVPR 2016), as the DAVIS evaluation measures it.

A pixel lies on the contour if it differs from its neighbour to the right, below, or right below. A
contour pixel is found if a pixel of the other contour lies within the tolerance, ⌈0.008 · image
diagonal⌉ pixels. F is the harmonic mean of the found shares of both contours.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from jaxtyping import Bool

from maskcast.metrics.packed import PackedMasks, Words, count, dilated, from_the_right, pack

TOLERANCE = 0.008
"""Of the image diagonal; the DAVIS benchmark's value."""


def boundary_tolerance(height: int, width: int, share: float = TOLERANCE) -> int:
    """Return the tolerance in whole pixels for an image of this size."""
    return ceil(share * float(np.linalg.norm((height, width))))


def contour_accuracy(
    prediction: Bool[np.ndarray, "height width"],
    truth: Bool[np.ndarray, "height width"],
    void: Bool[np.ndarray, "height width"] | None = None,
) -> float:
    """Return F in 0..1 for one object on one frame.

    Pixels of ``void`` are background in both masks. Two empty contours agree (1); an empty and a
    drawn one do not (0).
    """
    tolerance = boundary_tolerance(*truth.shape)
    if void is not None:
        prediction, truth = prediction & ~void, truth & ~void
    return packed_contour_accuracy(pack((prediction, truth), tolerance), tolerance)


def packed_contour_accuracy(pair: PackedMasks, tolerance: int) -> float:
    """Return F of a packed prediction and its packed truth."""
    contours = contours_of(pair)
    sizes = count(contours)
    if not all(sizes):
        return float(sizes[0] == sizes[1])
    found = count(contours & dilated(contours, tolerance)[::-1])
    precision, recall = found[0] / sizes[0], found[1] / sizes[1]
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def contours_of(masks: PackedMasks) -> Words:
    """Return the pixels that differ from the right, lower or lower right neighbour.

    Beyond the last row and column the image goes on as it ended, so its border is no contour.
    """
    words = masks.words
    right = from_the_right(words)
    contours: Words = words ^ right
    contours[:, :-1] |= words[:, :-1] ^ right[:, 1:]
    masks.clear_from_end(contours)
    contours[:, :-1] |= words[:, :-1] ^ words[:, 1:]
    return contours
