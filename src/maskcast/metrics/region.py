"""Region similarity J, the intersection over union of a mask and its ground truth."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from maskcast.metrics.packed import BitMasks, count, pack


def region_similarity(
    prediction: Bool[np.ndarray, "height width"],
    ground_truth: Bool[np.ndarray, "height width"],
    void: Bool[np.ndarray, "height width"] | None = None,
) -> float:
    """Return J, 0..1, of one object on one frame; pixels of ``void`` are ignored.

    J is 1 if both masks are empty, as in the DAVIS evaluation.
    """
    if void is not None:
        prediction, ground_truth = prediction & ~void, ground_truth & ~void
    return packed_region_similarity(pack((prediction, ground_truth), reach=0))


def packed_region_similarity(pair: BitMasks) -> float:
    """Return J of a packed prediction and its packed ground truth."""
    prediction, ground_truth = pair.words[:1], pair.words[1:]
    union = count(prediction | ground_truth)[0]
    return count(prediction & ground_truth)[0] / union if union else 1.0
