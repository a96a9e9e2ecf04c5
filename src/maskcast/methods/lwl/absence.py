"""Absent objects: recognise that an object is not on a frame, and find it again.

logits     objects × crop_height × crop_width   in the object's own crop, before objects are merged
probs      objects × height × width             merged
presence   objects                              0..1; an object below 0.5 is absent

Not part of the paper, and off for published weights. An absent object is left out before objects
are merged, is not learnt from, and is looked for in the view in which it was seen last.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from maskcast.methods.lwl.config import PresenceConfig
from maskcast.methods.lwl.crop import (
    OUTSIDE_LOGIT,
    Pair,
    Sighting,
    Size,
    View,
    centred_on,
    margins_of,
    sighting,
)
from maskcast.methods.lwl.decoder import Decoded
from maskcast.methods.lwl.presence import (
    Evidence,
    PresenceHead,
    likeness_to_first,
    mean_confidence,
)
from maskcast.nn.aggregation import aggregate_logits

PRESENT = 0.5
"""Presence from which an object is visible."""
USUAL_PIXELS = 480 * 854
"""Pixels of a frame for which ``crop.minimum_mass`` holds; it grows with the frame."""


class Located(NamedTuple):
    """What the last frame said about one object, in main memory."""

    is_present: bool
    seen: Sighting | None
    """None if it is absent or too small to be followed."""


class PresenceRule:
    """Decides which of the objects that were looked for are visible.

    Args:
        config: the rule and its thresholds.
        head: of the network; needed by the rule ``head`` only.
    """

    def __init__(self, config: PresenceConfig, head: PresenceHead | None) -> None:
        self.config = config
        self.head = head if config.rule == "head" else None

    def judge(
        self,
        decoded: Decoded,
        x: Float[Tensor, "objects C h w"],
        scores: Float[Tensor, "objects D h w"],
        firsts: Sequence[Tensor | None],
        absent: Sequence[bool],
    ) -> Float[Tensor, "objects"]:
        """Return the presence of each object; nothing is moved to main memory.

        The mean confidence, or the probability of the head, is mapped to the presence linearly on
        either side of the threshold in force, which becomes 0.5.

        Args:
            decoded: logits in the crop; the decoder's states are needed by the head only.
            x: target-model features of the crop.
            scores: what the target model says about x.
            firsts: ``describe_first`` of each object; None is not compared with anything.
            absent: which objects were absent on the frame before.
        """
        first = _stacked(firsts, width=2 * x.shape[1] + scores.shape[1], like=x)
        presence = self._by_confidence(decoded.logits, x, first, absent)
        if self.head is None:
            return presence
        _, z3, _, z1 = decoded.states
        evidence = Evidence(z3, z1, decoded.logits, x, scores, first)
        visible = self.head(evidence).visible.float().sigmoid()
        by_head = _mapped(visible, absent, self.config.head_thresholds)
        return torch.where(by_head.isnan(), presence, by_head)

    def _by_confidence(
        self, logits: Tensor, x: Tensor, first: Tensor, absent: Sequence[bool]
    ) -> Tensor:
        presence = _mapped(mean_confidence(logits), absent, self.config.thresholds)
        needed = self.config.likeness_from
        if needed <= 0 or not any(absent):
            return presence
        likeness = likeness_to_first(logits, x, first).clamp(min=0).nan_to_num(1.0)
        alike = _mapped(likeness, absent, (needed, needed))
        returns = torch.tensor(absent, device=presence.device)
        return torch.where(returns, torch.minimum(presence, alike), presence)


def merge_present(
    logits: Float[Tensor, "objects height width"], presence: Float[Tensor, "objects"]
) -> Float[Tensor, "objects height width"]:
    """Return merged probabilities; absent objects are left out, and have 0 everywhere."""
    present = (presence >= PRESENT)[:, None, None]
    return aggregate_logits(torch.where(present, logits, OUTSIDE_LOGIT))[1:] * present


def locate(
    probs: Float[Tensor, "objects height width"],
    presence: Float[Tensor, "objects"],
    last: Sequence[Sighting | None],
    *,
    minimum_mass: float,
) -> list[Located]:
    """Locate objects by their merged probabilities, with one transfer to main memory.

    Mass far from where the object was seen last, such as that of a copy, counts only if it is the
    larger part.

    Args:
        probs: 0 everywhere for absent objects.
        presence: of the same objects.
        last: where each was seen on the frame before.
        minimum_mass: pixels of probability on a frame of 480×854 below which an object is too
            small to be followed.
    """
    height, width = probs.shape[-2:]
    minimum_mass = minimum_mass * height * width / USUAL_PIXELS
    everywhere = margins_of(probs)
    near = torch.stack(
        [
            whole if seen is None else _margins_near(seen, mass)
            for whole, mass, seen in zip(everywhere, probs, last, strict=True)
        ]
    )
    table = torch.cat([presence[:, None], everywhere, near], dim=1).cpu().double().numpy()
    found = []
    for row in table:
        whole, close = np.split(row[1:], 2)
        chosen = close if 2 * close[:height].sum() >= whole[:height].sum() else whole
        seen = sighting(chosen, height=height, minimum_mass=minimum_mass)
        is_present = bool(row[0] >= PRESENT)
        found.append(Located(is_present, seen if is_present else None))
    return found


def view_after_return(view: View, seen: Sighting, frame_size: Size) -> View:
    """Return the view of an object that was found again, in its present size.

    An object that still enters at the border of the frame keeps the size of its view.
    """
    sides = zip(seen.position, seen.size, frame_size, strict=True)
    if any(not 0 <= at - size / 2 <= at + size / 2 <= length - 1 for at, size, length in sides):
        return View(seen.position, view.scale, view.base_size)
    return centred_on(seen, view)


def _mapped(score: Tensor, absent: Sequence[bool], thresholds: Pair) -> Tensor:
    """Map scores, 0..1, to presence; the second threshold is for objects that were absent."""
    limits = [thresholds[was_absent] for was_absent in absent]
    limit = torch.tensor(limits, dtype=score.dtype, device=score.device)
    below = PRESENT * score / limit
    return torch.where(score < limit, below, 1 - (1 - PRESENT) * (1 - score) / (1 - limit))


def _margins_near(seen: Sighting, mass: Float[Tensor, "height width"]) -> Tensor:
    """Return the margins of the mass in a window around the last place of the object."""
    shared = sqrt(seen.size[0] * seen.size[1])
    (top, bottom), (left, right) = (
        (max(0, int(at - reach)), max(0, int(at + reach) + 1))
        for at, reach in (
            (at, (size + shared) / 2) for at, size in zip(seen.position, seen.size, strict=True)
        )
    )
    height, width = mass.shape
    margins = mass.new_zeros(height + width)
    window = mass[top:bottom, left:right]
    margins[top : min(bottom, height)] = window.sum(dim=1)
    margins[height + left : height + min(right, width)] = window.sum(dim=0)
    return margins


def _stacked(
    firsts: Sequence[Tensor | None], *, width: int, like: Tensor
) -> Float[Tensor, "objects first"]:
    """Stack the descriptions of first frames; those that are missing become NaN."""
    missing = like.new_full((width,), torch.nan, dtype=torch.float32)
    return torch.stack([missing if first is None else first for first in firsts])
