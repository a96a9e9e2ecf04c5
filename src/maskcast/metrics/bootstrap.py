"""How sure a difference between two methods is: paired bootstrap intervals.

Both methods were scored on the same frames, so their differences are resampled, not their scores.
Neighbouring frames fail together; frames are therefore drawn in blocks (Künsch, 1989).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isqrt

import numpy as np
from jaxtyping import Float

RESAMPLES = 10_000
CONFIDENCE = 0.95
FEW = 20
"""With fewer independent values an interval is narrower than it should be."""


@dataclass(frozen=True)
class Interval:
    """A mean difference and where it lies in 95 % of the resamples."""

    mean: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0


def paired_interval(
    differences: Float[np.ndarray, " values"], *, block: int = 1, seed: int = 0
) -> Interval:
    """Return the mean of paired differences with its percentile bootstrap interval.

    Args:
        differences: one value per video, or per frame in order of time; at least one.
        block: neighbours drawn together; 1 for independent values.
        seed: of the resampling; the same seed gives the same interval.
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
    """Return how many neighbouring frames to draw together: the root of their number."""
    return max(1, isqrt(frames))
