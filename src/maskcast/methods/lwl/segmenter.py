"""LWL at test time: track every object with its own crop, target model and memory, then merge.

frame    3 × height × width              RGB, 0..1
logits   objects × height × width        of each object independently
merged   objects × height × width        probabilities after soft aggregation
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from maskcast.core.boxes import published_box
from maskcast.core.device import compiled
from maskcast.core.device_memory import in_parts
from maskcast.core.types import NO_PROMPTS, Box, Frame, Mask, ObjectMasks, Prompts, split_prompts
from maskcast.methods.lwl.absence import absence_rule, best_of, search_view, search_views
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.crop import (
    OUTSIDE_LOGIT,
    Pair,
    Patch,
    Size,
    View,
    box_patch,
    cut_image,
    cut_mask,
    first_patch,
    first_view,
    follow,
    half_stride,
    paste,
    shared_view,
    view_patch,
)
from maskcast.methods.lwl.decoder import Decoded
from maskcast.methods.lwl.label_encoder import STRIDE
from maskcast.methods.lwl.memory import Memory, SampleBuffers, Slot
from maskcast.methods.lwl.network import Features, LWLNetwork
from maskcast.methods.lwl.state import Found, LWLState, Sample, Target
from maskcast.methods.lwl.target_model import apply_target_model
from maskcast.nn.aggregation import aggregate_logits
from maskcast.nn.resnet import fold_batch_norm

Watch: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Called with the name of a stage; returns a context manager that encloses the stage."""


class Marked(NamedTuple):
    """A prompt for one object, converted to a mask, a box and logits."""

    soft_mask: Float[Tensor, "height width"]
    box: Box
    logits: Float[Tensor, "height width"]


class LWLSegmenter:
    """Segments videos with one LWL network (section 3.5 of the paper).

    Args:
        network: the network, which is modified in place and must not be used elsewhere.
        config: settings of the method.
        device: device to compute on.
        dtype: data type of trunk and decoder; the learner computes in float32.
        watch: encloses each stage, for timing.
    """

    def __init__(
        self,
        network: LWLNetwork,
        config: LWLConfig,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        watch: Watch | None = None,
    ) -> None:
        self.config = config
        self.device = torch.device(device)
        self.dtype = dtype
        self.network = network.eval().requires_grad_(False).to(self.device)
        if config.speed.fold_batch_norm:
            fold_batch_norm(self.network)
        self.network.decoder.speed_up_inference()
        for part in (self.network.trunk, self.network.features, self.network.decoder):
            part.to(dtype)
        if config.speed.channels_last:
            self.network.to(memory_format=torch.channels_last)
        prepared = compiled if config.speed.compile else _as_it_is
        self._trunk = prepared(self.network.trunk)
        self._decode = prepared(self.network.decoder)
        self._decode_with_states = prepared(self.network.decoder.decode)
        self._absence = absence_rule(config, self.network.presence_head)
        stride16 = -(-config.crop.size[0] // STRIDE), -(-config.crop.size[1] // STRIDE)
        self._half_stride = half_stride(config.crop.size, stride16, config.network.kernel_size)
        self._buffers = SampleBuffers(config.memory.size, config.memory.absent_share)
        self._watch: Watch = watch or (lambda stage: nullcontext())

    def start(self) -> LWLState:
        """Return the state before any frame, without objects."""
        return LWLState()

    @torch.no_grad()
    def step(
        self, state: LWLState, frame: Frame, prompts: Prompts = NO_PROMPTS
    ) -> tuple[LWLState, ObjectMasks]:
        """Segment the next frame; see ``VideoSegmenter``."""
        frame = frame.to(self.device)
        known = {target.object_id for target in state.targets}
        shown, absent = split_prompts(prompts, known)
        targets = [self._adapt(target) for target in state.targets]
        marked = {object_id: self._marked(frame, prompt) for object_id, prompt in shown.items()}
        if self.config.crop.disjoint_boxes:
            marked = _disjoint(marked, shown)
        followed = [target for target in targets if target.object_id not in prompts]
        predicted = {one.target.object_id: one for one in self._predict(followed, frame)}
        objects = [
            self._correct(target, frame, marked[target.object_id])
            if target.object_id in marked
            else self._learn_absence(target, frame)
            if target.object_id in absent
            else predicted[target.object_id]
            for target in targets
        ]
        objects += [
            self._begin(object_id, frame, prompt)
            for object_id, prompt in marked.items()
            if object_id not in known
        ]
        return self._merge(objects, frame)

    def remove_objects(self, state: LWLState, ids: Collection[int]) -> LWLState:
        """Stop tracking these objects; ids that are not tracked are ignored."""
        return LWLState(tuple(t for t in state.targets if t.object_id not in ids))

    def after_cut(self, state: LWLState) -> LWLState:
        """Expect every object anywhere or nowhere; see ``SearchesNewShots``.

        Without a rule for absence, the state stays as it is.
        """
        if not self._absence.searches_new_shots:
            return state
        remembered = map(self._remember, state.targets)
        return LWLState(tuple(replace(t, absent_frames=1, everywhere=True) for t in remembered))

    def _adapt(self, target: Target) -> Target:
        """Add the last frame to the memory, and fit the target model to it if that is due."""
        target = replace(target, frames=target.frames + 1)
        if target.latest is None and not self._absence.learns_late:
            return target
        target = self._remember(target)
        due = (target.frames - 1) % self.config.learner.update_every == 0
        steps = self.config.learner.update_steps
        return self._learn(target, steps) if due and target.unlearnt else target

    def _remember(self, target: Target) -> Target:
        """Add the last frame to the memory, unless it is there already."""
        if target.latest is None:
            return target
        memory = (
            target.memory.with_absence(target.latest)
            if target.absent_frames
            else target.memory.insert(target.latest, self.config.memory)
        )
        return replace(target, memory=memory, latest=None, unlearnt=True)

    def _learn(self, target: Target, steps: int) -> Target:
        """Run steepest-descent steps from the current target model on the whole memory."""
        if steps == 0:
            return target
        with self._watch("learner"):
            samples = self._buffers.samples(target.object_id, target.memory)
            tau = self.network.learner(target.tau, samples, steps)
            return replace(target, tau=tau, unlearnt=False)

    def _predict(self, targets: Sequence[Target], frame: Frame) -> list[Found]:
        """Segment the objects that have no prompt on this frame."""
        size = (frame.shape[-2], frame.shape[-1])
        crop = self.config.crop
        views = [follow(target.view, target.seen, crop) for target in targets]
        share = self.config.speed.share_crop and views
        shown = [shared_view(views, crop)] * len(views) if share else views
        placed = [
            (replace(target, view=view), view_patch(area, size, crop, self._half_stride))
            for target, view, area in zip(targets, views, shown, strict=True)
        ]
        if not placed:
            return []
        elsewhere = self._elsewhere([target for target, _ in placed], size)
        if self.config.speed.batch_objects:
            every = [*placed, *elsewhere]
            predicted = in_parts(lambda part: self._predict_together(part, frame), every)
        else:
            predicted = [self._predict_together([one], frame)[0] for one in [*placed, *elsewhere]]
        return best_of(predicted[: len(placed)], predicted[len(placed) :])

    def _elsewhere(self, targets: Sequence[Target], size: Size) -> list[tuple[Target, Patch]]:
        """Return additional crops in which to search for absent objects.

        On the first frame of a new shot, they cover the frame. Later it is one per frame, after a
        cut or if enabled.
        """
        crop = self.config.crop
        if self.config.speed.share_crop:
            return []
        moved_targets = [
            replace(target, view=view)
            for target in targets
            for view in self._views_elsewhere(target, size)
        ]
        return [
            (moved, view_patch(moved.view, size, crop, self._half_stride))
            for moved in moved_targets
        ]

    def _views_elsewhere(self, target: Target, size: Size) -> list[View]:
        if not target.absent_frames:
            return []
        if target.everywhere and target.absent_frames == 1:
            return search_views(target.view, size, self.config.crop.size)
        if target.everywhere or self.config.presence.search == "frame":
            return [search_view(target.view, target.absent_frames, size, self.config.crop.size)]
        return []

    def _predict_together(
        self, placed: Sequence[tuple[Target, Patch]], frame: Frame
    ) -> list[Found]:
        patches = [patch for _, patch in placed]
        features = self._look(frame, patches[:1] if self.config.speed.share_crop else patches)
        x = features.x.expand(len(placed), -1, -1, -1)
        with self._watch("target model"):
            tau = torch.cat([target.tau for target, _ in placed])
            scores = apply_target_model(tau, x[None])[0]
        decoded = self._decoded(scores, features)
        with self._watch("presence"):
            targets = [target for target, _ in placed]
            judgements = self._absence.judge(targets, decoded, x, scores)
        with self._watch("paste"):
            size = (frame.shape[-2], frame.shape[-1])
            exact = self.config.crop.exact_paste
            return [
                Found(
                    target,
                    paste(logits.float(), patch.extent, size, exact=exact),
                    Sample(patch, x_object),
                    judged=judged,
                )
                for (target, patch), logits, x_object, judged in zip(
                    placed, decoded.logits, x, judgements, strict=True
                )
            ]

    def _decoded(self, scores: Tensor, features: Features) -> Decoded:
        with self._watch("decoder"):
            inputs = scores.to(self.dtype), features.taps, self.config.crop.size
            if self._absence.head is not None:
                decoded: Decoded = self._decode_with_states(*inputs)
                return decoded
            return Decoded(self._decode(*inputs), [])

    def _look(self, frame: Frame, patches: Sequence[Patch]) -> Features:
        """Cut patches out of the frame and extract their features."""
        with self._watch("crop"):
            images = self._prepared(torch.stack([cut_image(frame, patch) for patch in patches]))
        return self._features(images)

    def _prepared(self, crops: Tensor) -> Tensor:
        layout = torch.channels_last if self.config.speed.channels_last else torch.preserve_format
        return self.network.prepare(crops).to(self.dtype, memory_format=layout)

    def _features(self, images: Tensor) -> Features:
        """Run the trunk; target-model features stay in float32 for the learner."""
        with self._watch("trunk"):
            taps = self._trunk(images)
        with self._watch("target features"):
            return Features(taps, self.network.features(taps.layer3).float())

    def _marked(self, frame: Frame, prompt: Mask | Box) -> Marked:
        """Convert a mask or a box into the input for starting or correcting an object."""
        if isinstance(prompt, Box):
            return self._marked_by_box(frame, prompt)
        mask = prompt.to(self.device)
        return Marked(
            mask.float(), published_box(mask.cpu().numpy()), (2 * mask.float() - 1) * -OUTSIDE_LOGIT
        )

    def _marked_by_box(self, frame: Frame, box: Box) -> Marked:
        """Segment the object in a box (section 3.7), on the whole frame or on a crop around it.

        The network uses the part of the box inside the frame. The position of the next crop follows
        from the whole box.
        """
        size = (frame.shape[-2], frame.shape[-1])
        inside = _clipped(box, size)
        if self.config.crop.box_view == "frame":
            logits = self._inside_box(frame, inside)
        else:
            patch = box_patch(inside, size, self.config.crop)
            inside_logits = self._inside_box(cut_image(frame, patch), patch.box(inside))
            logits = paste(inside_logits, patch.extent, size, exact=True)
        return Marked(logits.sigmoid(), box, logits)

    def _inside_box(self, image: Tensor, box: Box) -> Tensor:
        size = (image.shape[-2], image.shape[-1])
        features = self._features(self._prepared(image[None]))
        corners = image.new_tensor([[box.x, box.y, box.width, box.height]])
        assert self.network.box_encoder is not None, "boxes are converted to masks elsewhere"
        scores = self.network.box_encoder(corners, features.x, size)
        logits: Tensor = self._decode(scores.to(self.dtype), features.taps, size)[0].float()
        return logits

    def _begin(self, object_id: int, frame: Frame, marked: Marked) -> Found:
        """Fit a new target model to the frame on which its object starts."""
        size = (frame.shape[-2], frame.shape[-1])
        view = first_view(marked.box, self.config.crop)
        patch = first_patch(view, size, self.config.crop)
        x = self._features(self._prepared(patch.image(frame)[None])).x
        mask = patch.mask(marked.soft_mask)
        memory = Memory.of_first(self._slots(x, [mask])[0])
        tau = self.network.no_filters(1, x)
        target = Target(object_id, 1, view, None, tau, memory, None)
        target = replace(target, first=self._absence.describe(x[0], mask, memory.slots[0].label))
        target = self._learn(target, self.config.learner.initial_steps)
        return Found(target, marked.logits)

    def _correct(self, target: Target, frame: Frame, marked: Marked) -> Found:
        """Replace the mask by the user's prompt, and add the frame to the memory as annotated."""
        size = (frame.shape[-2], frame.shape[-1])
        view = first_view(marked.box, self.config.crop)
        patch = view_patch(view, size, self.config.crop, self._half_stride)
        x = self._look(frame, [patch]).x
        slot = self._slots(x, [cut_mask(marked.soft_mask, patch)])[0]
        memory = target.memory.insert(replace(slot, annotated=True), self.config.memory)
        target = replace(target, view=view, memory=memory, usual_likeness=None)
        return Found(self._learn(target, self.config.learner.update_steps), marked.logits)

    def _learn_absence(self, target: Target, frame: Frame) -> Found:
        """Add the frame to the memory with an empty mask, because the user marked it absent."""
        size = (frame.shape[-2], frame.shape[-1])
        view = follow(target.view, target.seen, self.config.crop)
        patch = view_patch(view, size, self.config.crop, self._half_stride)
        x = self._look(frame, [patch]).x
        slot = self._slots(x, [frame.new_zeros(patch.output, dtype=torch.float32)])[0]
        memory = target.memory.with_absence(replace(slot, annotated=True))
        target = self._learn(
            replace(target, view=view, memory=memory), self.config.learner.update_steps
        )
        nowhere = frame.new_full(size, OUTSIDE_LOGIT, dtype=torch.float32)
        return Found(target, nowhere, absent=True)

    def _slots(self, x: Tensor, masks: Sequence[Tensor]) -> list[Slot]:
        """Encode masks and combine them with the features of the same crops."""
        with self._watch("label encoder"):
            labels = self.network.label_encoder(torch.stack(list(masks)))
            parts = (_channels_last_copies(part) for part in (x, *labels))
            return [Slot(*tensors) for tensors in zip(*parts, strict=True)]

    def _merge(self, objects: Sequence[Found], frame: Frame) -> tuple[LWLState, ObjectMasks]:
        """Merge the objects by soft aggregation; each of them learns from the merged result."""
        self._buffers.keep_only([one.target.object_id for one in objects])
        if not objects:
            return LWLState(), ObjectMasks((), frame.new_zeros(0, *frame.shape[-2:]).float())
        with self._watch("merge"):
            merged, presence, located = self._absence.merge(objects)
        size = (frame.shape[-2], frame.shape[-1])
        targets = [
            self._absence.follow_up(one, location, size)
            for one, location in zip(objects, located, strict=True)
        ]
        remembered = [
            self._absence.is_remembered(*both) for both in zip(targets, located, strict=True)
        ]
        latest = self._latest(objects, remembered, merged)
        targets = [replace(t, latest=slot) for t, slot in zip(targets, latest, strict=True)]
        ids = tuple(target.object_id for target in targets)
        return LWLState(tuple(targets)), ObjectMasks(ids, merged, presence)

    def _latest(
        self, objects: Sequence[Found], remembered: Sequence[bool], merged: Tensor
    ) -> list[Slot | None]:
        """Convert predictions to memory slots, with the merged probabilities as masks."""
        samples = {
            i: one.sample
            for i, (one, is_remembered) in enumerate(zip(objects, remembered, strict=True))
            if one.sample is not None and is_remembered
        }
        if not samples:
            return [None] * len(objects)
        x = torch.stack([sample.x for sample in samples.values()])
        masks = [cut_mask(merged[i], sample.patch) for i, sample in samples.items()]
        slots = dict(zip(samples, self._slots(x, masks), strict=True))
        return [slots.get(i) for i in range(len(objects))]


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _channels_last_copies(images: Tensor) -> list[Tensor]:
    """Split images × C × h × w into separate copies of shape h × w × C."""
    moved = images.movedim(1, -1)
    return [image.clone(memory_format=torch.contiguous_format) for image in moved]


def _disjoint(marked: dict[int, Marked], prompts: Prompts) -> dict[int, Marked]:
    """Merge all masks of a frame; those made from boxes give up the pixels of others."""
    if not marked:
        return marked
    merged = aggregate_logits(torch.stack([one.logits for one in marked.values()]))[1:]
    return {
        object_id: one._replace(soft_mask=mask) if isinstance(prompts[object_id], Box) else one
        for (object_id, one), mask in zip(marked.items(), merged, strict=True)
    }


def _clipped(box: Box, size: Size) -> Box:
    """Return the part of a box inside the frame, at least one pixel wide and high."""
    x, width = _clipped_interval(box.x, box.width, size[1])
    y, height = _clipped_interval(box.y, box.height, size[0])
    return Box(x, y, width, height)


def _clipped_interval(start: float, length: float, limit: int) -> Pair:
    first = min(max(start, 0.0), limit - 1.0)
    return first, max(min(start + length, float(limit)) - first, 1.0)
