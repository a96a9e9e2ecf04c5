"""What the scores of an object's frames are summed up to: mean, recall, decay, variation.

All take one value per frame, in order of time. Frames whose value is NaN are left out; without any
frame the result is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

RECALL_THRESHOLD = 0.5
PARTS = 4
"""Into how many stretches of time ``decay`` cuts a video."""


@dataclass(frozen=True)
class Summary:
    """Fractions, as DAVIS reports them for J and for F."""

    mean: float
    recall: float
    decay: float


def summary(values: Float[np.ndarray, " frames"]) -> Summary:
    """Return mean, recall and decay of one object's frames."""
    return Summary(mean(values), recall(values), decay(values))


def mean(values: Float[np.ndarray, " frames"]) -> float:
    """Return the mean over frames."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def recall(values: Float[np.ndarray, " frames"]) -> float:
    """Return the share of frames above 0.5."""
    known = values[~np.isnan(values)]
    return float((known > RECALL_THRESHOLD).mean()) if known.size else float("nan")


def decay(values: Float[np.ndarray, " frames"]) -> float:
    """Return by how much the mean falls from the first quarter of the video to the last.

    Quarters share the frames at their edges, round(linspace(1, frames, 5)) − 1. The DAVIS tool
    keeps these edges in eight bits and is wrong from 257 frames on; this is right at any length.
    """
    if not values.size:
        return float("nan")
    # The small addend rounds halves up: NumPy alone would round them to even.
    edges = np.round(np.linspace(1, values.size, PARTS + 1) + 1e-10).astype(np.int64) - 1
    first, last = values[edges[0] : edges[1] + 1], values[edges[-2] : edges[-1] + 1]
    return mean(first) - mean(last)


def variation(values: Float[np.ndarray, " frames"]) -> float:
    """Return V of LVOS: how much the score varies over time.

    It is the standard deviation, whose square the LVOS tool rounds to four digits first.
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan")
    return float(np.sqrt(np.round(known.var(), 4)))
