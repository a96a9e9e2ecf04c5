"""Compute paired bootstrap intervals for the difference between two methods.

Both methods were scored on the same frames, so their differences are resampled, not their scores.
Errors of neighbouring frames are correlated; frames are therefore drawn in blocks (Künsch, 1989).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isqrt

import numpy as np
from jaxtyping import Float

RESAMPLES = 10_000
CONFIDENCE = 0.95
FEW = 20
"""Number of independent values below which the intervals are too narrow."""


@dataclass(frozen=True)
class Interval:
    """A mean difference and its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def paired_interval(
    differences: Float[np.ndarray, " values"], *, block: int = 1, seed: int = 0
) -> Interval:
    """Return the mean of paired differences with its percentile bootstrap interval.

    Args:
        differences: one value per video, or per frame in temporal order; at least one.
        block: number of neighbouring values drawn together; 1 for independent values.
        seed: seed of the resampling; the same seed gives the same interval.
    """
    count = differences.size
    block = min(block, count)
    blocks = ceil(count / block)
    random = np.random.default_rng(seed)
    starts = random.integers(0, count - block + 1, size=(RESAMPLES, blocks))
    sums = np.concatenate([[0.0], np.cumsum(differences)])
    block_means = (sums[starts + block] - sums[starts]) / block
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(block_means.mean(axis=1), [tail, 100 - tail])
    return Interval(float(differences.mean()), float(low), float(high))


def block_length(frames: int) -> int:
    """Return how many neighbouring frames to draw together: the square root of their number."""
    return max(1, isqrt(frames))
