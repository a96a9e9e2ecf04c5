"""Compute J and F of one object on one frame together, at little more than the cost of F."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from maskcast.metrics.boundary import boundary_tolerance, packed_contour_accuracy
from maskcast.metrics.packed import pack
from maskcast.metrics.region import packed_region_similarity


class FrameScore(NamedTuple):
    """Region similarity and contour accuracy, both 0..1."""

    J: float
    F: float


MISSED = FrameScore(0.0, 0.0)
"""Score of a frame without a prediction."""


def score_object(
    prediction: Bool[np.ndarray, "height width"],
    ground_truth: Bool[np.ndarray, "height width"],
    void: Bool[np.ndarray, "height width"] | None = None,
) -> FrameScore:
    """Return the results of ``region_similarity`` and ``contour_accuracy``, packing masks once."""
    if void is not None:
        prediction, ground_truth = prediction & ~void, ground_truth & ~void
    tolerance = boundary_tolerance(*ground_truth.shape)
    pair = pack((prediction, ground_truth), tolerance)
    return FrameScore(packed_region_similarity(pair), packed_contour_accuracy(pair, tolerance))
