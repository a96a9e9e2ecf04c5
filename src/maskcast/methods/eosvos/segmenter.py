"""Segment objects by fine-tuning one network per object (paper, section 3.3)."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from maskcast.core.transfers import on_device
from maskcast.core.types import NO_PROMPTS, Frame, ObjectMasks, Prompts, only_masks, split_prompts
from maskcast.methods.eosvos.config import EOSVOSConfig
from maskcast.methods.eosvos.merge import given_map, normalised
from maskcast.methods.eosvos.network import Detection
from maskcast.methods.eosvos.object_model import ObjectBox, ObjectWeights
from maskcast.methods.eosvos.online_adaptation import (
    AnnotatedFrame,
    Round,
    is_kept,
    opens_round,
    round_frames,
    with_absence,
)
from maskcast.methods.eosvos.targets import corners_of
from maskcast.nn.presence import VISIBLE, presence_from


@dataclass(frozen=True, eq=False)
class TrackedObject:
    """The state of one object after a frame."""

    object_id: int
    base: Float[Tensor, "parameters"] | None
    """Initial weights of the adaptation round, usually those fine-tuned on the first frame; None
    for the learned start. The weights after the round are not stored, because the round can be run
    again."""
    given: tuple[AnnotatedFrame, ...]
    """The first frame, and corrected frames."""
    round: Round | None
    """The current adaptation round; None before the first one."""
    rounds: int
    """Number of rounds so far."""
    frames_since_start: int
    """Number of frames after the first frame of the object."""
    past: tuple[AnnotatedFrame, ...]
    """Frames that the next round will use, in temporal order."""
    start_box: ObjectBox | None
    """Box of the mask that started the current adaptation interval; used as a proposal while the
    object is lost."""
    previous_box: ObjectBox | None
    """Box on the previous frame, or while the object is absent, on the frame on which it was last
    visible. None if the object was not found on the previous frame."""
    map: Float[Tensor, "height width"]
    """Probabilities before merging with other objects; 2 on a given mask."""
    absences: tuple[AnnotatedFrame, ...] = ()
    """Frames on which the user marked the object absent, for all later rounds."""
    marked_absent: bool = False
    """Whether the user marked the object absent on the previous frame."""
    presence: float = 1.0
    """Presence on the previous frame, 0..1; 1 if absence is not detected."""


@dataclass(frozen=True, eq=False)
class EOSVOSState:
    """The state of all objects after a frame, by object id."""

    objects: Mapping[int, TrackedObject]


@runtime_checkable
class FinetunesAndDetects(Protocol):
    """The interface of the model that the segmenter uses; ``ObjectModel`` implements it."""

    def fine_tune(
        self,
        weights: ObjectWeights,
        frames: tuple[AnnotatedFrame, ...],
        *,
        steps: int,
        seed: int,
        augment: bool = False,
        what: str = "fine-tuning",
    ) -> ObjectWeights: ...

    def detect(
        self, weights: ObjectWeights, frame: Frame, box: ObjectBox | None, *, seed: tuple[int, ...]
    ) -> Detection: ...


class EOSVOSSegmenter:
    """e-OSVOS at test time; objects are independent until their maps are merged."""

    def __init__(
        self, config: EOSVOSConfig, model: FinetunesAndDetects, device: torch.device
    ) -> None:
        self.config = config
        self.model = model
        self.device = device
        self._adapted: weakref.WeakKeyDictionary[Round, _Weights] = weakref.WeakKeyDictionary()

    def start(self) -> EOSVOSState:
        """Return the state before any frame."""
        return EOSVOSState({})

    def step(
        self, state: EOSVOSState, frame: Frame, prompts: Prompts = NO_PROMPTS
    ) -> tuple[EOSVOSState, ObjectMasks]:
        """Segment the next frame; the network is fine-tuned on a given mask at once.

        Raises:
            PromptError: a prompt is a box, or an object is marked absent before its first mask.
        """
        frame = on_device(frame, self.device).to(torch.float32)
        shown, absent = split_prompts(prompts, state.objects)
        masks = only_masks(shown, method="e-OSVOS", device=self.device)
        objects = {}
        for object_id in sorted(state.objects.keys() | masks.keys()):
            known = state.objects.get(object_id)
            if known is None:
                late = self.config.legacy_late_objects and len(state.objects) > 0
                objects[object_id] = self._begin(object_id, frame, masks[object_id], late=late)
            elif object_id in masks:
                objects[object_id] = self._correct(known, frame, masks[object_id])
            elif object_id in absent:
                objects[object_id] = self._mark_absent(known, frame)
            else:
                objects[object_id] = self._follow(known, frame)
        self._forget_rounds(max(len(objects), self.config.rounds_kept))
        is_judged = self.config.presence.rule != "off"
        return EOSVOSState(objects), _result(objects, frame, is_judged=is_judged)

    def remove_objects(self, state: EOSVOSState, ids: Collection[int]) -> EOSVOSState:
        """Stop tracking these objects; ids that are not tracked are ignored."""
        return EOSVOSState({key: kept for key, kept in state.objects.items() if key not in ids})

    def _begin(
        self, object_id: int, frame: Frame, mask: Bool[Tensor, "height width"], *, late: bool
    ) -> TrackedObject:
        """Fine-tune the learned start on the first frame of an object (section 3.2).

        If ``late``, the result has no mask and no box (``legacy_late_objects``).
        """
        first = AnnotatedFrame(frame, mask)
        base = self.model.fine_tune(
            None,
            (first,) * self.config.inner_batch,
            steps=self.config.inner_steps,
            seed=self.config.seed,
            augment=self.config.spatial_augmentation,
            what=f"fine-tuning on object {object_id}",
        )
        shown = torch.zeros_like(mask) if late else mask
        return TrackedObject(
            object_id=object_id,
            base=base,
            given=(first,),
            round=None,
            rounds=0,
            frames_since_start=0,
            past=(),
            start_box=_box_of(shown),
            previous_box=_box_of(shown),
            map=given_map(shown),
        )

    def _follow(self, known: TrackedObject, frame: Frame) -> TrackedObject:
        """Adapt the network if a round starts, then find the object."""
        config, interval = self.config, self.config.adaptation_interval
        since = known.frames_since_start + 1
        if config.online_adaptation and opens_round(since, interval):
            known = self._open_round(known, round_frames(_marked(known), known.past))
            known = replace(known, past=(), start_box=known.previous_box)
        detection = self.model.detect(
            self._weights(known),
            frame,
            known.start_box if known.previous_box is None else known.previous_box,
            seed=(config.seed, since),
        )
        mask = detection.probs >= config.mask_threshold
        presence = self._presence(known, detection, mask)
        if presence < VISIBLE:
            return _without_object(known, presence)
        past = known.past
        if config.online_adaptation and is_kept(since, interval, config.inner_batch):
            past = (*past, AnnotatedFrame(frame, mask))
        previous_box = _box_of(mask)
        if previous_box is not None and config.propagated_box == "detection":
            previous_box = _corners(detection.box)
        return replace(
            known,
            frames_since_start=since,
            past=past,
            previous_box=previous_box,
            map=detection.probs,
            marked_absent=False,
            presence=presence,
        )

    def _presence(
        self, known: TrackedObject, detection: Detection, mask: Bool[Tensor, "height width"]
    ) -> float:
        """Return the presence of the object, 0..1; 1 if absence is not detected."""
        config = self.config.presence
        if config.rule == "off":
            return 1.0
        confidence = detection.score if bool(mask.any()) else 0.0
        threshold = config.thresholds[known.presence < VISIBLE]
        return float(presence_from(torch.tensor([confidence]), [threshold]))

    def _mark_absent(self, known: TrackedObject, frame: Frame) -> TrackedObject:
        """Use an empty mask, because the user marked the object absent, and adapt to the frame.

        With online adaptation, every later round uses the frame as a given one. On the first frame
        of an absence, one round is run at once.
        """
        goes_on = known.marked_absent
        known = replace(_without_object(known, presence=0.0), marked_absent=True)
        if not self.config.online_adaptation:
            return known
        empty = AnnotatedFrame(frame, torch.zeros_like(known.map, dtype=torch.bool))
        absences = with_absence(known.absences, empty, goes_on=goes_on)
        known = replace(known, absences=absences)
        if opens_round(known.frames_since_start, self.config.adaptation_interval):
            known = self._open_round(known, round_frames(_marked(known), known.past))
            return replace(known, past=(), start_box=known.previous_box or known.start_box)
        return known if goes_on else self._open_round(known, _marked(known))

    def _correct(
        self, known: TrackedObject, frame: Frame, mask: Bool[Tensor, "height width"]
    ) -> TrackedObject:
        """Correct the mask; run one round at once, and use the frame in every later round.

        If an adaptation round would start on this frame, this round replaces it.
        """
        since = known.frames_since_start + 1
        replaces_another = opens_round(since, self.config.adaptation_interval)
        marked = (*known.given, AnnotatedFrame(frame, mask))
        corrected = self._open_round(known, (*marked, *known.absences))
        box = _box_of(mask)
        return replace(
            corrected,
            given=marked,
            frames_since_start=since,
            past=() if replaces_another else known.past,
            start_box=box,
            previous_box=box,
            map=given_map(mask),
            marked_absent=False,
            presence=1.0,
        )

    def _open_round(
        self, known: TrackedObject, frames: tuple[AnnotatedFrame, ...]
    ) -> TrackedObject:
        kept = self._weights(known) if self.config.adaptation_reset == "keep" else known.base
        base = None if self.config.adaptation_reset == "full" else kept
        rounds = known.rounds + 1
        opened = replace(known, base=base, round=Round(rounds, frames), rounds=rounds)
        self._weights(opened)
        return opened

    def _weights(self, known: TrackedObject) -> ObjectWeights:
        """Return the current weights; those of a round come from a cache or are recomputed."""
        if known.round is None:
            return known.base
        kept = self._adapted.pop(known.round, None)
        if kept is None:
            tuned = self.model.fine_tune(
                known.base,
                known.round.frames,
                steps=self.config.adaptation_steps,
                seed=self.config.seed + known.round.number,
                what=f"adapting to object {known.object_id}",
            )
            kept = _Weights(tuned)
        self._adapted[known.round] = kept  # the most recently used is last
        return kept.weights

    def _forget_rounds(self, most: int) -> None:
        """Drop the weights of all but the most recently used rounds; they can be recomputed."""
        for old in list(self._adapted)[:-most]:
            self._adapted.pop(old, None)


@dataclass(frozen=True)
class _Weights:
    weights: ObjectWeights


def _result(objects: Mapping[int, TrackedObject], frame: Frame, *, is_judged: bool) -> ObjectMasks:
    if not objects:
        return ObjectMasks((), frame.new_zeros(0, *frame.shape[-2:]))
    maps = torch.stack([tracked.map for tracked in objects.values()])
    presence = frame.new_tensor([tracked.presence for tracked in objects.values()])
    return ObjectMasks(tuple(objects), normalised(maps), presence if is_judged else None)


def _marked(known: TrackedObject) -> tuple[AnnotatedFrame, ...]:
    """Return the frames that the user marked: given masks, then absences."""
    return (*known.given, *known.absences)


def _without_object(known: TrackedObject, presence: float) -> TrackedObject:
    """Return an object after a frame without it; its box remains the last one before that."""
    return replace(
        known,
        frames_since_start=known.frames_since_start + 1,
        map=torch.zeros_like(known.map),
        marked_absent=False,
        presence=presence,
    )


def _box_of(mask: Bool[Tensor, "height width"]) -> ObjectBox | None:
    box = corners_of(mask)
    return None if box is None else _corners(box)


def _corners(box: Float[Tensor, "4"]) -> ObjectBox:
    x1, y1, x2, y2 = box.tolist()
    return float(x1), float(y1), float(x2), float(y2)
