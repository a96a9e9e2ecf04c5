"""Absent objects: recognise that an object is not on a frame, and find it again.

logits     objects × crop_height × crop_width   in the object's own crop, before objects are merged
probs      objects × height × width             merged
presence   objects                              0..1; an object below 0.5 is absent

Not part of the paper, and off for published weights. An absent object is left out before objects
are merged, is not learnt from, and is looked for in the view in which it was seen last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from math import ceil, dist, sqrt
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from maskcast.methods.lwl.config import LWLConfig, PresenceConfig
from maskcast.methods.lwl.crop import (
    OUTSIDE_LOGIT,
    Pair,
    Sighting,
    Size,
    View,
    centred_on,
    find,
    margins_of,
    sighting,
)
from maskcast.methods.lwl.decoder import Decoded
from maskcast.methods.lwl.presence import (
    Evidence,
    PresenceHead,
    describe_first,
    likeness_to_first,
)
from maskcast.methods.lwl.state import Found, Judgement, Target
from maskcast.nn.aggregation import aggregate_logits
from maskcast.nn.presence import VISIBLE, mean_confidence, presence_from

USUAL_PIXELS = 480 * 854
"""Pixels of a frame for which ``crop.minimum_mass`` holds; it grows with the frame."""


class Located(NamedTuple):
    """What the last frame said about one object, in main memory."""

    is_present: bool
    seen: Sighting | None
    """None if it is absent or too small to be followed."""
    confidence: float = 1.0
    """Mean probability inside the mask, 0..1; 1 where absence is not judged."""


class AsPublished:
    """Takes every object for visible on every frame, unless a person says otherwise."""

    learns_late = False
    """Whether a frame that is remembered when learning is not due is learnt on the next due frame
    in any case; as published, only if that one is remembered too."""
    head: PresenceHead | None = None

    def __init__(self, minimum_mass: float) -> None:
        self.minimum_mass = minimum_mass

    def describe(self, x: Tensor, mask: Tensor, label: Tensor) -> Tensor | None:
        """Nothing is compared with the first frame."""
        return None

    def judge(
        self, targets: Sequence[Target], decoded: Decoded, x: Tensor, scores: Tensor
    ) -> Sequence[Judgement | None]:
        """Nothing is judged."""
        return [None] * len(targets)

    def merge(self, found: Sequence[Found]) -> tuple[Tensor, Tensor | None, list[Located]]:
        """Return merged probabilities, no presence, and where each object was found."""
        merged = aggregate_logits(torch.stack([one.logits for one in found]))[1:]
        merged[[one.absent for one in found]] = 0.0  # rounding leaves less than 1e-30
        seen = find(merged, minimum_mass=self.minimum_mass)
        return merged, None, [Located(True, each) for each in seen]

    def follow_up(self, target: Target, located: Located, frame_size: Size) -> Target:
        """Note where an object was found."""
        return replace(target, seen=located.seen)

    def is_remembered(self, target: Target, located: Located) -> bool:
        """Every prediction is remembered."""
        return True


class PresenceRule:
    """Decides which of the objects that were looked for are visible.

    Args:
        config: the rule and its thresholds.
        head: of the network; used by the rules ``head`` and ``head-and-likeness`` only.
        minimum_mass: pixels of probability on a frame of 480×854 below which an object is too
            small to be followed.
    """

    learns_late = True

    def __init__(
        self, config: PresenceConfig, head: PresenceHead | None, minimum_mass: float
    ) -> None:
        self.config = config
        self.head = head if config.uses_head else None
        self.minimum_mass = minimum_mass

    def describe(
        self,
        x: Float[Tensor, "C h w"],
        mask: Float[Tensor, "crop_height crop_width"],
        label: Float[Tensor, "h w D"],
    ) -> Float[Tensor, "first"] | None:
        """Summarise the frame on which an object is given, for comparison with later ones."""
        return describe_first(x[None], mask[None], label.movedim(-1, 0)[None])[0]

    def judge(
        self,
        targets: Sequence[Target],
        decoded: Decoded,
        x: Float[Tensor, "objects C h w"],
        scores: Float[Tensor, "objects D h w"],
    ) -> Sequence[Judgement | None]:
        """Judge each object; nothing is moved to main memory.

        Whatever the rule looks at is mapped to a presence linearly on either side of the threshold
        in force, which becomes 0.5. "And" is the minimum of two presences, "or" the maximum.

        Args:
            targets: as they were after the frame before.
            decoded: logits in the crop; the decoder's states are needed by the head only.
            x: target-model features of the crop.
            scores: what the target model says about x.
        """
        absent = [target.absent_frames > 0 for target in targets]
        width = 2 * x.shape[1] + scores.shape[1]
        first = _stacked([target.first for target in targets], width=width, like=x)
        confidence = mean_confidence(decoded.logits.float().sigmoid())
        presence = _mapped(confidence, absent, self.config.thresholds)
        if self.config.rule in ("likeness", "head-and-likeness"):
            likeness = likeness_to_first(decoded.logits, x, first)
            presence = self._with_likeness(presence, confidence, likeness, absent)
        if self.head is not None:
            _, z3, _, z1 = decoded.states
            evidence = Evidence(z3, z1, decoded.logits, x, scores, first)
            presence = self._with_head(self.head, presence, evidence, absent)
        return [Judgement(*both) for both in zip(presence, confidence, strict=True)]

    def _with_likeness(
        self, presence: Tensor, confidence: Tensor, likeness: Tensor, absent: Sequence[bool]
    ) -> Tensor:
        """Judge by confidence and by similarity; one that is unknown (NaN) is taken for perfect."""
        config = self.config
        likeness = likeness.clamp(min=0).nan_to_num(1.0)
        every = len(absent)
        alike = presence_from(likeness, [config.likeness_from] * every)
        unsure, unlike = config.certain_below
        stays = torch.stack(
            [
                torch.maximum(presence, alike),
                presence_from(confidence, [unsure] * every),
                presence_from(likeness, [unlike] * every),
            ]
        ).amin(dim=0)
        was_absent = torch.tensor(absent, device=presence.device)
        return torch.where(was_absent, torch.minimum(presence, alike), stays)

    def _with_head(
        self, head: PresenceHead, presence: Tensor, evidence: Evidence, absent: Sequence[bool]
    ) -> Tensor:
        """Ask the head, alone or beside the other rule; it says nothing without a first frame."""
        visible = head(evidence).visible.float().sigmoid()
        by_head = _mapped(visible, absent, self.config.head_thresholds)
        if self.config.rule == "head-and-likeness":
            was_absent = torch.tensor(absent, device=presence.device)
            both = torch.minimum(presence, by_head), torch.maximum(presence, by_head)
            return torch.where(by_head.isnan(), presence, torch.where(was_absent, *both))
        return torch.where(by_head.isnan(), presence, by_head)

    def merge(self, found: Sequence[Found]) -> tuple[Tensor, Tensor | None, list[Located]]:
        """Return merged probabilities, presence, and where each object was found."""
        logits = torch.stack([one.logits for one in found])
        marked = [logits.new_tensor(float(not one.absent)) for one in found]
        judged = [
            one.judged or Judgement(mark, mark) for one, mark in zip(found, marked, strict=True)
        ]
        presence, confidence = (torch.stack(parts) for parts in zip(*judged, strict=True))
        merged = merge_present(logits, presence)
        last = [one.target.seen for one in found]
        located = locate(merged, presence, confidence, last, minimum_mass=self.minimum_mass)
        return merged, presence, located

    def follow_up(self, target: Target, located: Located, frame_size: Size) -> Target:
        """Note whether and where an object was found, and look there if it has returned."""
        if not located.is_present:
            return replace(target, seen=None, absent_frames=target.absent_frames + 1)
        view = target.view
        if target.absent_frames and located.seen is not None:
            view = view_after_return(view, located.seen, frame_size)
        return replace(target, view=view, seen=located.seen, absent_frames=0)

    def is_remembered(self, target: Target, located: Located) -> bool:
        """Return whether a prediction is remembered: few of an absence, none that is too small."""
        if target.absent_frames:
            is_early = target.absent_frames <= self.config.remembered
            return is_early and located.confidence <= self.config.remembered_up_to
        return target.seen is not None


def absence_rule(config: LWLConfig, head: PresenceHead | None) -> AsPublished | PresenceRule:
    """Return what decides about absence under these settings."""
    if config.presence.rule == "off":
        return AsPublished(config.crop.minimum_mass)
    return PresenceRule(config.presence, head, config.crop.minimum_mass)


def merge_present(
    logits: Float[Tensor, "objects height width"], presence: Float[Tensor, "objects"]
) -> Float[Tensor, "objects height width"]:
    """Return merged probabilities; absent objects are left out, and have 0 everywhere."""
    present = (presence >= VISIBLE)[:, None, None]
    return aggregate_logits(torch.where(present, logits, OUTSIDE_LOGIT))[1:] * present


def locate(
    probs: Float[Tensor, "objects height width"],
    presence: Float[Tensor, "objects"],
    confidence: Float[Tensor, "objects"],
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
        confidence: of the same objects; only moved.
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
    judged = torch.stack([presence, confidence], dim=1)
    table = torch.cat([judged, everywhere, near], dim=1).cpu().double().numpy()
    found = []
    for row in table:
        whole, close = np.split(row[2:], 2)
        chosen = close if 2 * close[:height].sum() >= whole[:height].sum() else whole
        seen = sighting(chosen, height=height, minimum_mass=minimum_mass)
        is_present = bool(row[0] >= VISIBLE)
        found.append(Located(is_present, seen if is_present else None, float(row[1])))
    return found


def view_after_return(view: View, seen: Sighting, frame_size: Size) -> View:
    """Return the view of an object that was found again, in its present size.

    An object that still enters at the border of the frame keeps the size of its view.
    """
    sides = zip(seen.position, seen.size, frame_size, strict=True)
    if any(not 0 <= at - size / 2 <= at + size / 2 <= length - 1 for at, size, length in sides):
        return View(seen.position, view.scale, view.base_size)
    return centred_on(seen, view)


def search_view(view: View, absent_frames: int, frame_size: Size, crop_size: Size) -> View:
    """Return a further place to look for an absent object, in a view as large as the last one.

    Such views cover the frame, overlapping by a third; the one nearest to the last view comes
    first, and after the farthest one the search begins again.

    Args:
        view: where the object was seen last.
        absent_frames: frames since it was visible, 1 or more.
        frame_size: height and width of the frame.
        crop_size: height and width of the network's input.
    """
    rows, columns = (
        _centres(length, view.scale * side)
        for length, side in zip(frame_size, crop_size, strict=True)
    )
    positions = sorted(product(rows, columns), key=lambda position: dist(position, view.position))
    return View(positions[(absent_frames - 1) % len(positions)], view.scale, view.base_size)


def best_of(usual: Sequence[Found], elsewhere: Sequence[Found]) -> list[Found]:
    """Take absent objects from elsewhere if they are visible there, and more so than in their view.

    Args:
        usual: one for each object.
        elsewhere: further ones for some of them.
    """
    found = {one.target.object_id: one for one in usual}
    for other in elsewhere:
        here = found[other.target.object_id].judged
        assert here is not None and other.judged is not None
        if other.judged.presence >= max(VISIBLE, float(here.presence)):
            found[other.target.object_id] = other
    return list(found.values())


def _centres(length: int, side: float) -> list[float]:
    """Return the centres of intervals that cover a length and overlap by a third."""
    gaps = ceil(max(length - side, 0) / (2 / 3 * side))
    if gaps == 0:
        return [(length - 1) / 2]
    return [(side - 1) / 2 + gap * (length - side) / gaps for gap in range(gaps + 1)]


def _mapped(score: Tensor, absent: Sequence[bool], thresholds: Pair) -> Tensor:
    """Map scores, 0..1, to presence; the second threshold is for objects that were absent."""
    return presence_from(score, [thresholds[was_absent] for was_absent in absent])


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
