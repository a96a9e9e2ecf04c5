"""What is measured on held-out clips, beside J and the losses.

A part of the validation gives means and counts; ``combined`` makes one result of all parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from maskcast.methods.lwl.presence import Presence

RENDERED = "_rendered"
"""Ending of the values of rendered clips."""
REAL_SHARE = 0.6
"""Of J on real clips in ``quality``; the rest is J on rendered ones."""
RATIOS = {
    "false_masks": ("absent_painted", "absent"),
    "lost_masks": ("visible_empty", "visible"),
    "presence_auc": ("pairs_ordered", "pairs"),
}
"""Result, and the counts it is the quotient of."""
MEASURES = ("J", "J" + RENDERED, "box_J", "box_J" + RENDERED)
COUNTS = frozenset(name for counts in RATIOS.values() for name in counts)


def region_similarity(
    logits: Float[Tensor, "frames sequences height width"],
    masks: Float[Tensor, "frames sequences height width"],
) -> Float[Tensor, "frames sequences"]:
    """J of ``logits > 0``; 1 where both masks are empty."""
    found, true = logits > 0, masks > 0.5
    intersection = (found & true).sum(dim=(2, 3))
    union = (found | true).sum(dim=(2, 3))
    return torch.where(union > 0, intersection / union.clamp(min=1), 1.0)


def hidden(
    logits: Float[Tensor, "frames sequences height width"], presence: Presence
) -> Float[Tensor, "frames sequences height width"]:
    """Empty the masks of objects that are judged not to be visible."""
    return torch.where((presence.visible < 0)[:, :, None, None], -1.0, logits)


def presence_counts(
    logits: Float[Tensor, "frames sequences height width"],
    presence: Presence | None,
    visible: Int8[Tensor, "frames sequences"],
) -> dict[str, Tensor]:
    """Count frames by visibility and what was painted, and pairs that the head puts in order.

    A pair is a visible and an absent frame of the same part of the validation.
    """
    painted = (logits > 0).flatten(2).any(dim=2)
    present, absent = visible == 1, visible == 0
    counts = {
        "absent": absent.sum(),
        "absent_painted": (absent & painted).sum(),
        "visible": present.sum(),
        "visible_empty": (present & ~painted).sum(),
    }
    if presence is not None:
        difference = presence.visible[present][:, None] - presence.visible[absent][None]
        ordered = (difference > 0).double() + 0.5 * (difference == 0)
        counts |= {"pairs": present.sum() * absent.sum(), "pairs_ordered": ordered.sum()}
    return {name: count.double() for name, count in counts.items()}


def combined(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average values over the parts that have them, divide counts, and add ``quality``.

    ``quality``, for choosing weights, is 0.6 times J on real and 0.4 times J on rendered clips, or
    one of them if there are no others; the J of boxes where no query frame is segmented.
    """
    names = list(dict.fromkeys(name for part in parts for name in part))
    given = {name: [part[name] for part in parts if name in part] for name in names}
    means = {name: sum(values) / len(values) for name, values in given.items()}
    result = {name: means[name] for name in MEASURES if name in means}
    result |= {name: means[name] for name in names if name not in COUNTS}
    for name, (numerator, denominator) in RATIOS.items():
        total = sum(given.get(denominator, []))
        if total > 0:
            result[name] = sum(given[numerator]) / total
    result["quality"] = _quality(result)
    return result


def _quality(result: Mapping[str, float]) -> float:
    measure = "J" if {"J", "J" + RENDERED} & result.keys() else "box_J"
    real, rendered = result.get(measure), result.get(measure + RENDERED)
    if real is None or rendered is None:
        return next(value for value in (real, rendered) if value is not None)
    return REAL_SHARE * real + (1 - REAL_SHARE) * rendered
