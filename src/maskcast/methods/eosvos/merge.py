"""Merge the maps of objects that were followed independently of each other.

maps    objects × height × width   raw: 0 where nothing was found, 2 on a given mask
probs   objects × height × width   0..1, at most 1 in sum; the background is the rest
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

GIVEN_VALUE = 2.0
"""Value of a given mask in its object's map; it wins everywhere."""
MARGIN = 2**-20
"""Keeps winners clear of rounding in 1 − Σ probs."""


def given_map(mask: Bool[Tensor, "height width"]) -> Float[Tensor, "height width"]:
    """The map of an object on a frame where it was given."""
    return GIVEN_VALUE * mask.to(torch.float32)


def merged_slots(
    maps: Float[Tensor, "objects height width"], threshold: float = 0.5
) -> Int64[Tensor, "height width"]:
    """1 + arg-max where the largest map reaches the threshold, else 0; ties: the lower slot."""
    best, slot = maps.max(dim=0)
    first = (maps == best).to(torch.uint8).argmax(dim=0)
    return torch.where(best >= threshold, first + 1, torch.zeros_like(slot))


def normalised(
    maps: Float[Tensor, "objects height width"],
) -> Float[Tensor, "objects height width"]:
    """Probabilities which paint ``merged_slots`` under the common rule.

    Where an object wins it keeps its value, just above one half at least, and the others share
    what is left; where none does, their sum stays just below one half.
    """
    slots = merged_slots(maps)
    index = torch.arange(1, len(maps) + 1, device=maps.device)[:, None, None]
    wins = slots == index
    winner = torch.where(wins, maps.clamp(0.5 + MARGIN, 1), 0.0)
    left = torch.where(slots > 0, 1 - winner.sum(dim=0), 0.5 - MARGIN)
    others = torch.where(wins, 0.0, maps)
    claimed = others.sum(dim=0)
    share = torch.where(claimed > left, left / claimed.clamp(min=MARGIN), 1.0)
    return winner + others * share
