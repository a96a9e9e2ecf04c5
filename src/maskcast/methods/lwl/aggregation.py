"""Merge independent predictions of several objects into one distribution per pixel.

logits   objects × height × width        independent foreground logits of each object
result   objects + 1 × height × width    sums to 1 over channels; channel 0 is background
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from maskcast.methods.lwl.crop import OUTSIDE_LOGIT, Area

EPS = 1e-7
BAND = 32
"""Rows that are merged together on a CPU, so that temporary results stay in its cache. Columns are
rounded to as many, so that vectorised kernels have no remainder, whose last bit may differ."""


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


def merge_maps(
    maps: Sequence[Float[Tensor, "height width"]],
    areas: Sequence[Area | None],
    present: Bool[Tensor, "objects"] | None = None,
) -> Float[Tensor, "objects height width"]:
    """Return the probabilities of the objects after ``aggregate_logits``, without the background.

    Outside all areas they are 0, and are not computed on a CPU.

    Args:
        maps: independent foreground logits of each object.
        areas: where the logits of an object may differ from ``OUTSIDE_LOGIT``; None: everywhere.
        present: objects that are not present are left out and have probability 0; None: all are.
    """
    height, width = maps[0].shape
    if maps[0].device.type != "cpu":
        return _merged(torch.stack(list(maps)), present)
    known = [Area(0, 0, height, width) if area is None else area for area in areas]
    merged = torch.zeros(len(maps), height, width)
    for band in range(0, height, BAND):
        top = max(0, min(band, height - BAND))
        rows = slice(top, min(top + BAND, height))
        within = [area for area in known if area.top < rows.stop and area.bottom > top]
        if not within:
            continue
        left = min(area.left for area in within) // BAND * BAND
        right = -(-max(area.right for area in within) // BAND) * BAND
        columns = slice(left, min(right, width))
        part = torch.stack([logits[rows, columns] for logits in maps])
        merged[:, rows, columns] = _merged(part, present)
    return merged


def _merged(
    logits: Float[Tensor, "objects height width"], present: Bool[Tensor, "objects"] | None
) -> Float[Tensor, "objects height width"]:
    if present is None:
        return aggregate_logits(logits)[1:]
    kept = present[:, None, None]
    return aggregate_logits(torch.where(kept, logits, OUTSIDE_LOGIT))[1:] * kept
