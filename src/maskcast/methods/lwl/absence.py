"""Absent objects: detect that an object is not visible on a frame, and find it again.

logits     objects × crop_height × crop_width   in the object's own crop, before objects are merged
probs      objects × height × width             merged
presence   objects                              0..1; an object below 0.5 is absent

Not in the paper, and off for published weights. An absent object is left out when objects are
merged, and is searched for in the view in which it was last seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from maskcast.core.areas import Area, merge_in_areas
from maskcast.core.tensors import Size
from maskcast.methods.lwl.aggregation import aggregate_logits
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.crop import OUTSIDE_LOGIT, Pair, View, find
from maskcast.methods.lwl.decoder import Decoded
from maskcast.methods.lwl.presence import (
    EPS,
    Evidence,
    Judgement,
    PresenceHead,
    describe_first,
    likeness_to_first,
)
from maskcast.methods.lwl.presence_config import PresenceConfig
from maskcast.methods.lwl.searching import (
    Located,
    last_extent,
    locate,
    search_view,
    search_views,
    view_after_return,
)
from maskcast.methods.lwl.state import Found, Target
from maskcast.nn.presence import VISIBLE, mean_confidence, presence_from

USUAL_RATE = 0.4
"""Weight of the newest visible frame in the average similarity of an object."""


class AsPublished:
    """The rule ``off``: every object is visible on every frame, unless the user marks it absent."""

    searches_new_shots = False
    """Whether objects are searched for after a shot cut."""
    learns_late = False
    """Whether an update that is due takes place even if the last frame did not enter the memory but
    an earlier one did since the last update. As published, it does not."""
    head: PresenceHead | None = None

    def __init__(self, minimum_mass: float) -> None:
        self.minimum_mass = minimum_mass

    def describe(self, x: Tensor, mask: Tensor, label: Tensor) -> Tensor | None:
        """Return None, because no frame is compared with the first frame."""
        return None

    def judge(
        self, targets: Sequence[Target], decoded: Decoded, x: Tensor, scores: Tensor
    ) -> Sequence[Judgement | None]:
        """Return None for each object, because absence is not detected."""
        return [None] * len(targets)

    def views_elsewhere(self, target: Target, frame_size: Size, crop_size: Size) -> list[View]:
        """Return no views, because objects are always where they were last seen."""
        return []

    def merge(self, objects: Sequence[Found]) -> tuple[Tensor, Tensor | None, list[Located]]:
        """Return merged probabilities, no presence, and the position of each object."""
        merged = merge_maps([one.logits for one in objects], [one.area for one in objects])
        merged[[one.absent for one in objects]] = 0.0  # removes rounding errors below 1e-30
        seen = find(merged, minimum_mass=self.minimum_mass)
        return merged, None, [Located(True, sighted) for sighted in seen]

    def follow_up(self, segmented: Found, located: Located, frame_size: Size) -> Target:
        """Record the position of an object."""
        return replace(segmented.target, seen=located.seen)

    def is_remembered(self, target: Target, located: Located) -> bool:
        """Return True, because every prediction enters the memory."""
        return True


class PresenceRule:
    """Decides which of the segmented objects are visible.

    Args:
        config: the rule and its thresholds.
        head: presence head of the network; used by ``head`` and ``head-and-likeness`` only.
        minimum_mass: sum of probabilities below which an object is too small to be tracked, on a
            frame of 480×854.
    """

    searches_new_shots = True
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
        """Summarise the frame on which an object starts, for comparison with later frames."""
        return describe_first(x[None], mask[None], label.movedim(-1, 0)[None])[0]

    def judge(
        self,
        targets: Sequence[Target],
        decoded: Decoded,
        x: Float[Tensor, "objects C h w"],
        scores: Float[Tensor, "objects D h w"],
    ) -> Sequence[Judgement | None]:
        """Return presence and confidence of each object, without a transfer to CPU memory.

        Each value that a rule uses is mapped to a presence linearly on either side of its
        threshold, which becomes 0.5. "And" is the minimum of two presences, "or" the maximum.

        Args:
            targets: state of the objects after the previous frame.
            decoded: logits in the crop, and states of the decoder, which only the head uses.
            x: target-model features of the crop.
            scores: T_τ(x), output of the target model.
        """
        absent = [target.absent_frames > 0 for target in targets]
        width = 2 * x.shape[1] + scores.shape[1]
        first = _stacked([target.first for target in targets], width=width, like=x)
        confidence = mean_confidence(decoded.logits.float().sigmoid())
        presence = _mapped(confidence, absent, self.config.thresholds)
        likeness: Tensor | None = None
        if self.config.rule in ("likeness", "head-and-likeness"):
            likeness = likeness_to_first(decoded.logits, x, first)
            likeness = likeness.clamp(min=0).nan_to_num(1.0)  # NaN: unknown
            usual = [target.usual_likeness for target in targets]
            presence = self._with_likeness(presence, confidence, likeness, usual, absent)
        if self.head is not None:
            _, z3, _, z1 = decoded.states
            evidence = Evidence(z3, z1, decoded.logits, x, scores, first)
            presence = self._with_head(self.head, presence, evidence, absent)
        likenesses = [None] * len(targets) if likeness is None else likeness
        return [Judgement(*values) for values in zip(presence, confidence, likenesses, strict=True)]

    def _with_likeness(
        self,
        presence: Tensor,
        confidence: Tensor,
        likeness: Tensor,
        usual: Sequence[Tensor | None],
        absent: Sequence[bool],
    ) -> Tensor:
        """Return the presence by confidence and similarity, which has not dropped too far."""
        config = self.config
        every = len(absent)
        known = torch.tensor([one is not None for one in usual], device=likeness.device)
        before = torch.stack([likeness.new_ones(()) if one is None else one for one in usual])
        lowest = (before - config.largest_drop).clamp(EPS, 1 - EPS)
        undropped = presence_from(likeness, lowest).where(known, likeness.new_ones(()))
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
        by_level = torch.where(was_absent, torch.minimum(presence, alike), stays)
        return torch.minimum(by_level, undropped)

    def _with_head(
        self, head: PresenceHead, presence: Tensor, evidence: Evidence, absent: Sequence[bool]
    ) -> Tensor:
        """Return the presence by the head, alone or combined with the given presence.

        Without a description of the first frame, the head is not used.
        """
        visible = head(evidence).visible.float().sigmoid()
        by_head = _mapped(visible, absent, self.config.head_thresholds)
        if self.config.rule == "head-and-likeness":
            was_absent = torch.tensor(absent, device=presence.device)
            both = torch.minimum(presence, by_head), torch.maximum(presence, by_head)
            return torch.where(by_head.isnan(), presence, torch.where(was_absent, *both))
        return torch.where(by_head.isnan(), presence, by_head)

    def views_elsewhere(self, target: Target, frame_size: Size, crop_size: Size) -> list[View]:
        """Return additional views in which to search for an object, if it is absent.

        On the first frame of a new shot, they cover the frame. Later it is one per frame, after a
        cut or if enabled.
        """
        if not target.absent_frames:
            return []
        if target.everywhere and target.absent_frames == 1:
            return search_views(target.view, frame_size, crop_size)
        if target.everywhere or self.config.search == "frame":
            return [search_view(target.view, target.absent_frames, frame_size, crop_size)]
        return []

    def merge(self, objects: Sequence[Found]) -> tuple[Tensor, Tensor | None, list[Located]]:
        """Return merged probabilities, presence, and the position of each object."""
        marked = [one.logits.new_tensor(float(not one.absent)) for one in objects]
        judged = [
            one.judged or Judgement(mark, mark) for one, mark in zip(objects, marked, strict=True)
        ]
        presence = torch.stack([one.presence for one in judged])
        confidence = torch.stack([one.confidence for one in judged])
        maps, areas = [one.logits for one in objects], [one.area for one in objects]
        merged = merge_maps(maps, areas, presence >= VISIBLE)
        last = [last_extent(one.target) for one in objects]
        located = locate(merged, presence, confidence, last, minimum_mass=self.minimum_mass)
        return merged, presence, located

    def follow_up(self, segmented: Found, located: Located, frame_size: Size) -> Target:
        """Record the result for an object; if it has returned, centre the view on it."""
        target = segmented.target
        if not located.is_present:
            return replace(target, seen=None, absent_frames=target.absent_frames + 1)
        view = target.view
        if target.absent_frames and located.seen is not None:
            view = view_after_return(view, located.seen, frame_size)
        return replace(
            target,
            view=view,
            seen=located.seen,
            usual_likeness=_averaged(target.usual_likeness, segmented.judged),
            absent_frames=0,
            everywhere=False,
        )

    def is_remembered(self, target: Target, located: Located) -> bool:
        """Return whether a prediction enters the memory.

        In an absence, only early frames of low confidence do; otherwise, all masks do that are not
        too small.
        """
        if target.absent_frames:
            is_early = target.absent_frames <= self.config.remembered
            return is_early and located.confidence <= self.config.remembered_up_to
        return target.seen is not None


def absence_rule(config: LWLConfig, head: PresenceHead | None) -> AsPublished | PresenceRule:
    """Return the rule for absence with these settings."""
    if config.presence.rule == "off":
        return AsPublished(config.crop.minimum_mass)
    return PresenceRule(config.presence, head, config.crop.minimum_mass)


def merge_maps(
    maps: Sequence[Float[Tensor, "height width"]],
    areas: Sequence[Area | None],
    present: Bool[Tensor, "objects"] | None = None,
) -> Float[Tensor, "objects height width"]:
    """Return the probabilities of the objects after ``aggregate_logits``, without the background.

    Args:
        maps: independent foreground logits of each object.
        areas: where the logits of an object may differ from ``OUTSIDE_LOGIT``; None: everywhere.
        present: objects that are not present are left out and have probability 0; None: all are.
    """
    return merge_in_areas(maps, areas, partial(_merged, present=present))


def _merged(
    logits: Float[Tensor, "objects height width"], *, present: Bool[Tensor, "objects"] | None
) -> Float[Tensor, "objects height width"]:
    if present is None:
        return aggregate_logits(logits)[1:]
    kept = present[:, None, None]
    return aggregate_logits(torch.where(kept, logits, OUTSIDE_LOGIT))[1:] * kept


def best_of(usual: Sequence[Found], elsewhere: Sequence[Found]) -> list[Found]:
    """Replace results by those of additional views if the object is visible there, and more so.

    Args:
        usual: results in the views of all objects.
        elsewhere: results in additional views of some of them.
    """
    best = {one.target.object_id: one for one in usual}
    for other in elsewhere:
        here = best[other.target.object_id].judged
        assert here is not None and other.judged is not None
        if other.judged.presence >= max(VISIBLE, float(here.presence)):
            best[other.target.object_id] = other
    return list(best.values())


def _mapped(score: Tensor, absent: Sequence[bool], thresholds: Pair) -> Tensor:
    """Map scores, 0..1, to presence; the second threshold is for objects that were absent."""
    return presence_from(score, [thresholds[was_absent] for was_absent in absent])


def _averaged(usual: Tensor | None, judged: Judgement | None) -> Tensor | None:
    """Return the average similarity after a frame on which the object is visible."""
    if judged is None or judged.likeness is None or usual is None:
        return usual if judged is None else judged.likeness
    return usual + USUAL_RATE * (judged.likeness - usual)


def _stacked(
    firsts: Sequence[Tensor | None], *, width: int, like: Tensor
) -> Float[Tensor, "objects first"]:
    """Stack the descriptions of first frames; those that are missing become NaN."""
    missing = like.new_full((width,), torch.nan, dtype=torch.float32)
    return torch.stack([missing if first is None else first for first in firsts])
