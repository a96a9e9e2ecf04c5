"""Merge independent predictions of several objects into one distribution per pixel.

logits   objects × height × width        independent foreground logits of each object
result   objects + 1 × height × width    sums to 1 over channels; channel 0 is background
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

EPS = 1e-7


def aggregate_logits(
    logits: Float[Tensor, "objects height width"],
) -> Float[Tensor, "objects+1 height width"]:
    """Soft aggregation (RGMP, CVPR 2018): normalise the odds of every object and the background.

    The background has the probability that no object claims the pixel, p₀ = Π(1 - pᵢ), clamped to
    ε..1-ε with ε = 1e-7. Logits of ±100 give probabilities of exactly 0 and 1.
    """
    logits = logits.float()
    background = torch.sigmoid(-logits).prod(dim=0, keepdim=True).clamp(EPS, 1 - EPS)
    return torch.cat([torch.log(background / (1 - background)), logits]).softmax(dim=0)
