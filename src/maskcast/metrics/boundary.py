"""Contour accuracy F (Perazzi et al., CVPR 2016), as defined by the DAVIS evaluation.

A pixel lies on the contour if it differs from its neighbour to the right, below, or to the lower
right. A contour pixel is matched if a pixel of the other contour lies within the tolerance,
⌈0.008 · image diagonal⌉ pixels. F is the harmonic mean of precision and recall, the shares of
matched pixels on the predicted and the true contour.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from jaxtyping import Bool

from maskcast.metrics.packed import BitMasks, Words, count, dilated, from_the_right, pack

TOLERANCE = 0.008
"""Tolerance as a share of the image diagonal; the value of the DAVIS benchmark."""


def boundary_tolerance(height: int, width: int, share: float = TOLERANCE) -> int:
    """Return the tolerance in whole pixels for an image of this size."""
    return ceil(share * float(np.linalg.norm((height, width))))


def contour_accuracy(
    prediction: Bool[np.ndarray, "height width"],
    ground_truth: Bool[np.ndarray, "height width"],
    void: Bool[np.ndarray, "height width"] | None = None,
) -> float:
    """Return F, 0..1, of one object on one frame.

    Pixels of ``void`` count as background in both masks. F is 1 if both contours are empty, and 0
    if exactly one is.
    """
    tolerance = boundary_tolerance(*ground_truth.shape)
    if void is not None:
        prediction, ground_truth = prediction & ~void, ground_truth & ~void
    return packed_contour_accuracy(pack((prediction, ground_truth), tolerance), tolerance)


def packed_contour_accuracy(pair: BitMasks, tolerance: int) -> float:
    """Return F of a packed prediction and its packed ground truth."""
    contours = contours_of(pair)
    sizes = count(contours)
    if not all(sizes):
        return float(sizes[0] == sizes[1])
    matched = count(contours & dilated(contours, tolerance)[::-1])
    precision, recall = matched[0] / sizes[0], matched[1] / sizes[1]
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def contours_of(masks: BitMasks) -> Words:
    """Return the pixels that differ from the right, lower or lower right neighbour.

    The last row and column are continued beyond the image, so the image border is not a contour.
    """
    words = masks.words
    right = from_the_right(words)
    contours: Words = words ^ right
    contours[:, :-1] |= words[:, :-1] ^ right[:, 1:]
    masks.clear_from_end(contours)
    contours[:, :-1] |= words[:, :-1] ^ words[:, 1:]
    return contours
