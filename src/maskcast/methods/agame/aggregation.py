"""Merge independent predictions of several objects into one distribution per pixel.

probs    objects × 2 × height × width    independent (background, target) of each object
result   objects + 1 × height × width    sums to 1 over channels; channel 0 is background
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

EPS = 1e-7


def aggregate_probs(
    probs: Float[Tensor, "objects 2 height width"],
) -> Float[Tensor, "objects+1 height width"]:
    """Normalise the odds of every object and the background (map: merging).

    The background is what the most certain object leaves, min_o P_o[0], not the product over the
    objects. Odds are those of probabilities limited to ε..1-ε with ε = 1e-7.
    """
    not_object, is_object = probs.unbind(dim=1)
    background = not_object.amin(dim=0, keepdim=True)
    claimed = torch.cat([background, is_object]).clamp(EPS, 1 - EPS)
    left = torch.cat([1 - background, not_object]).clamp(EPS, 1 - EPS)
    odds = claimed / left
    return odds / odds.sum(dim=0, keepdim=True)
