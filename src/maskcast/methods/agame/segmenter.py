"""A-GAME at test time: one trunk pass per frame, one model per object, then merging.

    frame    3 × height × width, RGB 0..1      probs    objects × height × width, merged

Internally, images and masks have the padded size, whose sides are multiples of 16.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from maskcast.core.device_memory import in_parts
from maskcast.core.errors import FrameError, PromptError
from maskcast.core.tensors import size_of
from maskcast.core.transfers import on_device
from maskcast.core.types import (
    NO_PROMPTS,
    Frame,
    Mask,
    ObjectMasks,
    Prompts,
    only_masks,
    split_prompts,
)
from maskcast.methods.agame.aggregation import aggregate_probs
from maskcast.methods.agame.config import AgameConfig
from maskcast.methods.agame.framing import (
    STRIDE,
    Padding,
    indicator,
    normalise,
    shrink_frame,
    shrink_mask,
    to_grid,
    two_channels,
    working_size,
)
from maskcast.methods.agame.network import AgameNetwork, FrameFeatures, Prediction, TrackedObjects
from maskcast.nn.presence import VISIBLE, mean_confidence, presence_from
from maskcast.nn.resize import resize_bilinear
from maskcast.nn.resnet import fold_batch_norm


@dataclass(frozen=True)
class AgameState:
    """The state of a video between two frames."""

    frame_index: int = 0
    """Index of the next frame."""
    ids: tuple[int, ...] = ()
    """Object ids, in the order in which the objects started; slot i of ``objects`` is ids[i]."""
    first_frames: tuple[int, ...] = ()
    """Index of the frame on which each object started."""
    objects: TrackedObjects | None = None
    """State of the objects; None if there are none."""
    absent_for: Mapping[int, int] = field(default_factory=dict)
    """Number of consecutive frames without the object up to the last one, by id; visible objects
    have no entry."""


@dataclass(frozen=True)
class Segmented:
    """The results for one frame."""

    state: AgameState
    masks: ObjectMasks
    predicted_ids: tuple[int, ...] = ()
    """Ids of the objects that the network has segmented, that is, all but those with a given mask
    or an absence mark."""
    prediction: Prediction | None = None
    """Prediction for ``predicted_ids``, at the padded size; None if there are none."""


class AgameSegmenter:
    """Segments videos with A-GAME; see ``maskcast.core.segmenter.VideoSegmenter``.

    Args:
        config: settings of the method.
        network: the network, which is modified in place: it is put into evaluation mode and moved
            to the device, and its batch normalisation is folded into the convolutions.
        device: device to compute on.
        dtype: data type of trunk and convolutions; appearance models, and frames on which objects
            start, use at least float32.
    """

    def __init__(
        self,
        config: AgameConfig,
        network: AgameNetwork,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.config = config
        self.device = torch.device(device)
        self.dtype = dtype
        self.network = network.eval().requires_grad_(False)
        fold_batch_norm(self.network.trunk)
        self.network.to(self.device).to(memory_format=torch.channels_last)
        self.network.use_dtype(dtype)

    def start(self) -> AgameState:
        """Return the state before any frame."""
        return AgameState()

    def step(
        self, state: AgameState, frame: Frame, prompts: Prompts = NO_PROMPTS
    ) -> tuple[AgameState, ObjectMasks]:
        """Segment the next frame; a given mask starts or corrects its object.

        Raises:
            FrameError: the frame differs in size from earlier frames.
            PromptError: a prompt is a box, an object is marked absent before its first mask, or a
                prompt corrects an object or marks it absent while ``entry_frame`` is ``predicted``.
        """
        frame = on_device(frame, self.device)
        size = size_of(frame)
        working = working_size(size, self.config.working_side)
        if working == size:
            image = normalise(frame, self.config.trunk)
            segmented = self.step_normalised(state, image, prompts)
            return segmented.state, segmented.masks
        small = {
            key: shrink_mask(prompt, working) if isinstance(prompt, Tensor) else prompt
            for key, prompt in prompts.items()
        }
        image = normalise(shrink_frame(frame, working), self.config.trunk)
        segmented = self.step_normalised(state, image, small)
        ids = segmented.masks.ids
        probs = resize_bilinear(segmented.masks.probs[None], size)[0]
        if self._returns_given(is_first=state.objects is None):
            shown_masks = {
                key: p.to(self.device) for key, p in prompts.items() if isinstance(p, Tensor)
            }
            probs = _put(shown_masks, ids, probs)
        return segmented.state, ObjectMasks(ids, probs, segmented.masks.presence)

    def remove_objects(self, state: AgameState, ids: Collection[int]) -> AgameState:
        """Stop tracking these objects; ids that are not tracked are ignored."""
        kept = [slot for slot, object_id in enumerate(state.ids) if object_id not in ids]
        if len(kept) == len(state.ids):
            return state
        return replace(
            state,
            ids=tuple(state.ids[slot] for slot in kept),
            first_frames=tuple(state.first_frames[slot] for slot in kept),
            objects=state.objects.select(kept) if state.objects and kept else None,
            absent_for={key: count for key, count in state.absent_for.items() if key not in ids},
        )

    @torch.no_grad()
    def step_normalised(
        self,
        state: AgameState,
        image: Float[Tensor, "3 height width"],
        prompts: Prompts = NO_PROMPTS,
    ) -> Segmented:
        """Segment a frame with normalised colours; return all results (map: frame loop).

        Raises:
            FrameError, PromptError: see ``step``.
        """
        padding = Padding(*image.shape[-2:])
        shown, marked = split_prompts(prompts, state.ids)
        given_masks = only_masks(shown, method="A-GAME", device=self.device)
        self._check_prompts(state, given_masks, marked)
        shown_masks = {key: padding.pad(mask) for key, mask in given_masks.items()}
        is_first = state.objects is None
        if is_first and not shown_masks:
            nothing = ObjectMasks((), image.new_zeros((0, *image.shape[-2:])))
            return Segmented(replace(state, frame_index=state.frame_index + 1), nothing)
        _check_size(state, padding)
        padded = padding.pad(image)[None]
        features = self.network.features(padded, exact=bool(shown_masks))
        state, objects = self._begin(state, features, shown_masks)
        features = features.to(self.dtype)

        slots = self._slots_to_predict(state.ids, shown_masks, marked, is_first=is_first)
        prediction = self._predict(features, objects, slots) if slots else None
        predicted_ids = tuple(state.ids[slot] for slot in slots)
        presence = self._presence(state, shown_masks, marked, predicted_ids, prediction)
        visible = [slot for slot in slots if presence[slot] >= VISIBLE]
        probs = padded.new_zeros((len(state.ids), *padded.shape[-2:]))
        seen = None
        if prediction is not None and visible:
            seen = prediction.select([slots.index(slot) for slot in visible])
            probs[visible] = aggregate_probs(seen.fine.softmax(dim=1))[1:]
        standing = {key: mask for key, mask in shown_masks.items() if key not in predicted_ids}
        probs = _put(standing, state.ids, probs)
        if seen is not None:
            y = self._update_mask(seen, probs[visible])
            objects = self._update(features, objects, visible, y)
        state = replace(state, frame_index=state.frame_index + 1, objects=objects)
        state = self._learn_absences(state, features, marked, presence)
        if self._returns_given(is_first=is_first):
            probs = _put(shown_masks, state.ids, probs)
        judged = None if self.config.presence.rule == "off" else probs.new_tensor(presence)
        masks = ObjectMasks(state.ids, padding.crop(probs).contiguous(), judged)
        return Segmented(state, masks, predicted_ids, prediction)

    def _returns_given(self, *, is_first: bool) -> bool:
        """Return whether given masks are returned unchanged.

        The first frame is the one on which the first object starts.
        """
        return is_first or self.config.entry_frame == "given"

    def _check_prompts(
        self, state: AgameState, shown: Collection[int], marked: Collection[int]
    ) -> None:
        if self.config.entry_frame == "given":
            return
        if corrected := sorted(set(shown) & set(state.ids)):
            raise PromptError(
                f"object {corrected[0]} already exists; corrections require entry_frame=given"
            )
        if marked:
            raise PromptError(
                f"object {min(marked)} is marked absent; absence marks require entry_frame=given"
            )

    def _begin(
        self, state: AgameState, features: FrameFeatures, shown_masks: Mapping[int, Mask]
    ) -> tuple[AgameState, TrackedObjects]:
        """Append new objects to the tracked ones, and restart corrected objects in their slots."""
        objects = state.objects
        if shown_masks:
            masks = indicator(torch.stack(list(shown_masks.values())))
            fresh = self.network.begin(features, to_grid(masks))
            joined = objects.joined(fresh) if objects else fresh
            new_slots = {object_id: len(state.ids) + i for i, object_id in enumerate(shown_masks)}
            new_ids = tuple(object_id for object_id in shown_masks if object_id not in state.ids)
            order = [new_slots.get(key, slot) for slot, key in enumerate(state.ids)]
            objects = joined.select([*order, *(new_slots[object_id] for object_id in new_ids)])
            state = replace(
                state,
                ids=state.ids + new_ids,
                first_frames=state.first_frames + (state.frame_index,) * len(new_ids),
            )
        assert objects is not None
        return state, objects

    def _slots_to_predict(
        self,
        ids: Sequence[int],
        shown_ids: Mapping[int, Mask],
        marked: Collection[int],
        *,
        is_first: bool,
    ) -> list[int]:
        """Return the slots that the network segments on this frame (map: predicted objects)."""
        config = self.config
        predict_given = (
            config.process_first_frame if is_first else config.entry_frame == "predicted"
        )
        return [
            slot
            for slot, key in enumerate(ids)
            if key not in marked and (predict_given or key not in shown_ids)
        ]

    def _predict(
        self, features: FrameFeatures, objects: TrackedObjects, slots: Sequence[int]
    ) -> Prediction:
        """Segment objects, in one batch if the device has enough memory."""

        def predict(some: Sequence[int]) -> list[Prediction]:
            chosen = objects if len(some) == len(objects) else objects.select(some)
            return self.network.predict(features, chosen).split()

        return Prediction.joined(in_parts(predict, slots))

    def _presence(
        self,
        state: AgameState,
        shown_ids: Collection[int],
        marked: Collection[int],
        predicted_ids: Sequence[int],
        prediction: Prediction | None,
    ) -> list[float]:
        """Return the presence of each object, 0..1; it is 0 or 1 if the user gave a prompt."""
        presence = [float(key not in marked) for key in state.ids]
        if self.config.presence.rule == "off" or prediction is None:
            return presence
        confidences = mean_confidence(prediction.fine.softmax(dim=1)[:, 1])
        limits = [self.config.presence.thresholds[key in state.absent_for] for key in predicted_ids]
        judged = presence_from(confidences, limits).tolist()
        for key, its_presence in zip(predicted_ids, judged, strict=True):
            if key not in shown_ids:
                presence[state.ids.index(key)] = its_presence
        return presence

    def _learn_absences(
        self,
        state: AgameState,
        features: FrameFeatures,
        marked: Collection[int],
        presence: Sequence[float],
    ) -> AgameState:
        """Count the frames without an object, and learn from the first and the marked ones."""
        absent_for = {
            key: state.absent_for.get(key, 0) + 1
            for key, value in zip(state.ids, presence, strict=True)
            if value < VISIBLE
        }
        slots = [
            slot
            for slot, key in enumerate(state.ids)
            if key in marked or 0 < absent_for.get(key, 0) <= self.config.presence.remembered
        ]
        objects = state.objects
        if slots and objects is not None:
            certain = [state.ids[slot] in marked for slot in slots]
            learnt = self.network.learn_absence(features, objects.select(slots), certain)
            objects = objects.with_replaced(slots, learnt)
        return replace(state, objects=objects, absent_for=absent_for)

    def _update_mask(
        self, prediction: Prediction, merged: Float[Tensor, "objects height width"]
    ) -> Float[Tensor, "objects 2 rows columns"]:
        """Return m̃, the masks that update the models (map: update mask)."""
        if self.config.update_mask == "merged":
            return to_grid(two_channels(merged))
        if self.config.update_mask == "fine":
            return to_grid(prediction.fine.softmax(dim=1))
        return prediction.coarse.softmax(dim=1)

    def _update(
        self,
        features: FrameFeatures,
        objects: TrackedObjects,
        slots: Sequence[int],
        y: Float[Tensor, "slots 2 rows columns"],
    ) -> TrackedObjects:
        """Update the objects in these slots, and leave the others as they are."""
        if len(slots) == len(objects):
            return self.network.update(features, objects, y)
        return objects.with_replaced(slots, self.network.update(features, objects.select(slots), y))


def _put(
    masks: Mapping[int, Mask], ids: Sequence[int], probs: Float[Tensor, "objects height width"]
) -> Float[Tensor, "objects height width"]:
    """Assign the pixels of given masks to their objects, regardless of predictions."""
    if not masks:
        return probs
    taken: Bool[Tensor, "height width"] = torch.stack(list(masks.values())).any(dim=0)
    probs = probs.masked_fill(taken, 0.0)
    for object_id, mask in masks.items():
        probs[ids.index(object_id)] = mask.to(probs.dtype)
    return probs


def _check_size(state: AgameState, padding: Padding) -> None:
    if state.objects is None:
        return
    rows, columns = state.objects.first_mask.shape[-2:]
    expected = -(-padding.height // STRIDE), -(-padding.width // STRIDE)
    if (rows, columns) != expected:
        raise FrameError(
            f"the frame is {padding.height}×{padding.width} but the objects started on frames of "
            f"about {rows * STRIDE}×{columns * STRIDE}; all frames must have the same size"
        )
