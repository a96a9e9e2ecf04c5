"""Objects are segmented apart; here their probabilities become one distribution per pixel.

probs      objects × 2 × height × width     (background, target) of each object, on its own
merged     objects + 1 × height × width     sums to 1; channel 0 is the background of all
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-7


def merge(
    probs: Float[Tensor, "objects 2 height width"],
) -> Float[Tensor, "objects+1 height width"]:
    """Normalise the odds of the background and of every object (spec 7).

    The background is what the most certain object leaves, min_o P_o[0], not the product over the
    objects. Odds are those of probabilities clamped to [1e-7, 1 − 1e-7].
    """
    not_object, is_object = probs.unbind(dim=1)
    background = not_object.amin(dim=0, keepdim=True)
    claimed = _clamped(torch.cat([background, is_object]))
    left = _clamped(torch.cat([1 - background, not_object]))
    odds = claimed / left
    return odds / odds.sum(dim=0, keepdim=True)


def two_channels(
    foreground: Float[Tensor, "objects height width"],
) -> Float[Tensor, "objects 2 height width"]:
    """Return (background, target) masks of each object from its own probability."""
    return torch.stack([1 - foreground, foreground], dim=1)


def _clamped(probs: Tensor) -> Tensor:
    return probs.clamp(EPSILON, 1 - EPSILON)
