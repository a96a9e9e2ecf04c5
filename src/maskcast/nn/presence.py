"""How sure a method is that an object is visible, on one scale for all methods.

confidence    0..1, in a unit of the method's own, such as a mean probability or a score
presence      0..1: 0.5 where the confidence is at the method's threshold
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

VISIBLE = 0.5
"""Presence from which an object is visible."""


def presence_from(confidence: float, threshold: float) -> float:
    """Return the presence for a confidence.

    It rises linearly from 0 to 0.5 below the threshold, and from 0.5 to 1 above.

    Args:
        confidence: in [0, 1].
        threshold: confidence from which the object is visible, in (0, 1).
    """
    if confidence < threshold:
        return VISIBLE * confidence / threshold
    return VISIBLE + (1 - VISIBLE) * (confidence - threshold) / (1 - threshold)


def mean_confidence(
    probs: Float[Tensor, "objects height width"],
) -> Float[Tensor, "objects"]:
    """Return the mean probability inside each mask, above one half; 0 where a mask is empty."""
    inside = probs > 0.5
    return (probs * inside).sum(dim=(1, 2)) / inside.sum(dim=(1, 2)).clamp(min=1)
