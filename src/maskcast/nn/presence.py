"""Convert the confidence of a method that an object is visible to a scale common to all methods.

confidence    0..1, on the method's own scale, such as a mean probability or a score
presence      0..1; 0.5 corresponds to the method's confidence threshold
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

VISIBLE = 0.5
"""Presence from which an object counts as visible."""


def presence_from(
    confidence: Float[Tensor, "objects"], thresholds: Sequence[float] | Float[Tensor, "objects"]
) -> Float[Tensor, "objects"]:
    """Return the presence of each object for its confidence.

    It rises linearly from 0 to 0.5 below the threshold, and from 0.5 to 1 above it.

    Args:
        confidence: confidence of the method, in [0, 1]; NaN stays NaN.
        thresholds: confidence from which each object is visible, in (0, 1).
    """
    limit = torch.as_tensor(thresholds, dtype=confidence.dtype, device=confidence.device)
    below = VISIBLE * confidence / limit
    above = VISIBLE + (1 - VISIBLE) * (confidence - limit) / (1 - limit)
    return torch.where(confidence < limit, below, above)


def mean_confidence(
    probs: Float[Tensor, "objects height width"],
) -> Float[Tensor, "objects"]:
    """Return the mean probability over each mask (pixels above 0.5); 0 for an empty mask."""
    inside = probs > 0.5
    return (probs * inside).sum(dim=(1, 2)) / inside.sum(dim=(1, 2)).clamp(min=1)
