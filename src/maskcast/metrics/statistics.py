"""Statistics of an object's scores over time: mean, recall, decay, variation.

Each takes one value per frame, in temporal order. Frames with NaN are skipped; the result is NaN if
no frames remain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

RECALL_THRESHOLD = 0.5
PARTS = 4
"""Number of parts into which ``decay`` divides a video."""


@dataclass(frozen=True)
class Summary:
    """The statistics that DAVIS reports for J and for F, as fractions."""

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
    """Return the mean over the first quarter of the video minus the mean over the last.

    Quarters share the frames at their edges, round(linspace(1, frames, 5)) − 1. The DAVIS tool
    stores these edges in eight bits and is wrong from 257 frames on; this function is correct for
    any length.
    """
    if not values.size:
        return float("nan")
    # the small addend rounds halves up; NumPy would round them to even
    edges = np.round(np.linspace(1, values.size, PARTS + 1) + 1e-10).astype(np.int64) - 1
    first, last = values[edges[0] : edges[1] + 1], values[edges[-2] : edges[-1] + 1]
    return mean(first) - mean(last)


def variation(values: Float[np.ndarray, " frames"]) -> float:
    """Return V of LVOS, the variation of the score over time.

    V is the standard deviation. Like the LVOS tool, the variance is rounded to four digits first.
    """
    known = values[~np.isnan(values)]
    if not known.size:
        return float("nan")
    return float(np.sqrt(np.round(known.var(), 4)))
