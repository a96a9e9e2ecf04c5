"""Merge the maps of objects that were segmented independently of each other.

maps    objects × height × width   probabilities; 0 without a detection, 2 on a given mask
probs   objects × height × width   0..1, with a sum of at most 1; the background has the rest
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

GIVEN_VALUE = 2.0
"""Value of a given mask in its object's map; it wins everywhere."""
MARGIN = 2**-20
"""Distance of winning probabilities from 0.5, larger than the rounding error of 1 − Σ probs."""


def given_map(mask: Bool[Tensor, "height width"]) -> Float[Tensor, "height width"]:
    """Return the map of an object on a frame with its given mask."""
    return GIVEN_VALUE * mask.to(torch.float32)


def merged_slots(
    maps: Float[Tensor, "objects height width"], threshold: float = 0.5
) -> Int64[Tensor, "height width"]:
    """Return 1 + arg-max where the maximum reaches the threshold, else 0; lower slots win ties."""
    best, slot = maps.max(dim=0)
    first = (maps == best).to(torch.uint8).argmax(dim=0)
    return torch.where(best >= threshold, first + 1, torch.zeros_like(slot))


def normalised(
    maps: Float[Tensor, "objects height width"],
) -> Float[Tensor, "objects height width"]:
    """Return probabilities whose arg-max with the background equals ``merged_slots``.

    An object that wins a pixel keeps its value, raised to just above 0.5 if necessary, and the
    others are scaled to the rest. If no object wins, their sum is limited to just below 0.5.
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
