"""Further measures on held-out clips, in addition to J and the losses.

Each part of the validation returns means and counts; ``combined`` merges them into one result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from maskcast.methods.lwl.presence import Presence

RENDERED = "_rendered"
"""Suffix of the measures on rendered clips."""
REAL_SHARE = 0.6
"""Weight of J on real clips in ``quality``; the rest is the weight of J on rendered clips."""
RATIOS = {
    "false_masks": ("absent_painted", "absent"),
    "lost_masks": ("visible_empty", "visible"),
    "presence_auc": ("pairs_ordered", "pairs"),
}
"""Ratios, and the counts that are their numerators and denominators."""
MEASURES = ("J", "J" + RENDERED, "box_J", "box_J" + RENDERED)
COUNTS = frozenset(name for counts in RATIOS.values() for name in counts)


def region_similarity(
    logits: Float[Tensor, "frames sequences height width"],
    masks: Float[Tensor, "frames sequences height width"],
) -> Float[Tensor, "frames sequences"]:
    """Return J of ``logits > 0``; 1 where both masks are empty."""
    predicted, true = logits > 0, masks > 0.5
    intersection = (predicted & true).sum(dim=(2, 3))
    union = (predicted | true).sum(dim=(2, 3))
    return torch.where(union > 0, intersection / union.clamp(min=1), 1.0)


def hidden(
    logits: Float[Tensor, "frames sequences height width"], presence: Presence
) -> Float[Tensor, "frames sequences height width"]:
    """Empty the masks of objects that the presence head predicts to be invisible."""
    return torch.where((presence.visible < 0)[:, :, None, None], -1.0, logits)


def presence_counts(
    logits: Float[Tensor, "frames sequences height width"],
    presence: Presence | None,
    visible: Int8[Tensor, "frames sequences"],
) -> dict[str, Tensor]:
    """Count frames by visibility and by empty or non-empty mask, and correctly ordered pairs.

    A pair is a visible and an absent frame of the same part of the validation. It is ordered
    correctly if the presence head gives the visible frame the higher probability.
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
    """Average values over the parts that have them, compute ratios, and add ``quality``.

    ``quality``, which selects the best weights, is 0.6 times J on real clips plus 0.4 times J on
    rendered clips, or J of the only kind. If no query frame is segmented, it uses J of the frames
    segmented from boxes.
    """
    names = list(dict.fromkeys(name for part in parts for name in part))
    by_name = {name: [part[name] for part in parts if name in part] for name in names}
    means = {name: sum(values) / len(values) for name, values in by_name.items()}
    result = {name: means[name] for name in MEASURES if name in means}
    result |= {name: means[name] for name in names if name not in COUNTS}
    for name, (numerator, denominator) in RATIOS.items():
        total = sum(by_name.get(denominator, []))
        if total > 0:
            result[name] = sum(by_name[numerator]) / total
    result["quality"] = _quality(result)
    return result


def _quality(result: Mapping[str, float]) -> float:
    measure = "J" if {"J", "J" + RENDERED} & result.keys() else "box_J"
    real, rendered = result.get(measure), result.get(measure + RENDERED)
    if real is None or rendered is None:
        return next(value for value in (real, rendered) if value is not None)
    return REAL_SHARE * real + (1 - REAL_SHARE) * rendered
