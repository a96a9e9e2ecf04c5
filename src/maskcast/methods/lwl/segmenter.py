"""LWL at test time: track every object with its own crop, target model and memory, then merge.

frame    3 × height × width              RGB, 0..1
logits   objects × height × width        of each object independently
merged   objects × height × width        probabilities after soft aggregation
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor

from maskcast.core.boxes import published_box
from maskcast.core.cuda_graphs import replayed
from maskcast.core.device import compiled, dtype_named, has_bfloat16
from maskcast.core.device_memory import in_parts, most_together
from maskcast.core.tensors import Size, size_of
from maskcast.core.transfers import on_device
from maskcast.core.types import NO_PROMPTS, Box, Frame, Mask, ObjectMasks, Prompts, split_prompts
from maskcast.methods.lwl.absence import absence_rule, best_of
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.crop import (
    OUTSIDE_LOGIT,
    Patch,
    View,
    cut_image,
    cut_mask,
    first_patch,
    first_view,
    follow,
    half_stride,
    paste,
    pasted_part,
    shared_view,
    view_patch,
)
from maskcast.methods.lwl.decoder import Decoded
from maskcast.methods.lwl.label_encoder import STRIDE
from maskcast.methods.lwl.memory import Memory, SampleBuffers, Slot
from maskcast.methods.lwl.network import Features, LWLNetwork
from maskcast.methods.lwl.state import Found, LWLState, Marked, Sample, Target
from maskcast.methods.lwl.target_model import apply_target_model
from maskcast.nn.packing import pack_convolutions
from maskcast.nn.resnet import fold_batch_norm

if TYPE_CHECKING:
    from maskcast.methods.lwl.box_start import BoxSegmenter

Watch: TypeAlias = Callable[[str], AbstractContextManager[None]]
"""Called with the name of a stage; returns a context manager that encloses the stage."""


class LWLSegmenter:
    """Segments videos with one LWL network (section 3.5 of the paper).

    Args:
        network: the network, which is modified in place and must not be used elsewhere.
        config: settings of the method.
        device: device to compute on.
        dtype: data type of trunk and decoder; that of the learner is ``memory.dtype``.
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
        if self.device.type == "cpu" and not config.speed.compile:
            pack_convolutions(self.network)
        self._trunk: Callable[..., Any] = self.network.trunk
        self._decode: Callable[..., Decoded] = self.network.decoder.decode
        if config.speed.compile:
            self._trunk, self._decode = compiled(self._trunk), compiled(self._decode)
        self._target_features: Callable[..., Tensor] = self.network.features
        if config.speed.cuda_graphs:
            parts = self._trunk, self._target_features, self._decode
            self._trunk, self._target_features, self._decode = replayed(parts, self.device)
        self._box_start = self._started_from_boxes()
        self._absence = absence_rule(config, self.network.presence_head)
        stride16 = -(-config.crop.size[0] // STRIDE), -(-config.crop.size[1] // STRIDE)
        self._half_stride = half_stride(config.crop.size, stride16, config.network.kernel_size)
        self._stored = dtype_named(config.memory.dtype)
        learned = self._stored if has_bfloat16(self.device) else torch.float32
        self._buffers = SampleBuffers(config.memory, learned)
        speed, size = config.speed, config.crop.size
        self._most_together = None if speed.share_crop else most_together(size, self.device)
        if not speed.batch_objects:
            self._most_together = 1
        self._watch: Watch = watch or (lambda stage: nullcontext())

    def _started_from_boxes(self) -> BoxSegmenter | None:
        """Return what starts objects from boxes; not loaded for a network without that."""
        if self.network.box_encoder is None:
            return None
        from maskcast.methods.lwl.box_start import BoxSegmenter  # noqa: PLC0415

        encoder, crop = self.network.box_encoder, self.config.crop
        return BoxSegmenter(encoder, crop, self._features, self._decoded)

    def start(self) -> LWLState:
        """Return the state before any frame, without objects."""
        return LWLState()

    @torch.no_grad()
    def step(
        self, state: LWLState, frame: Frame, prompts: Prompts = NO_PROMPTS
    ) -> tuple[LWLState, ObjectMasks]:
        """Segment the next frame; see ``VideoSegmenter``."""
        frame = on_device(frame, self.device)
        known = {target.object_id for target in state.targets}
        shown, absent = split_prompts(prompts, known)
        targets = [self._adapt(target) for target in state.targets]
        marked = {object_id: self._marked(frame, prompt) for object_id, prompt in shown.items()}
        if self._box_start is not None:
            marked = self._box_start.disjoint(marked, shown)
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
        size, crop = size_of(frame), self.config.crop
        if not targets:
            return []
        targets = [replace(one, view=follow(one.view, one.seen, crop)) for one in targets]
        views = [target.view for target in targets]
        shared = shared_view(views, crop) if self.config.speed.share_crop else None
        elsewhere = [
            replace(target, view=view)
            for target in targets
            for view in self._absence.views_elsewhere(target, size, crop.size)
            if shared is None
        ]
        placed = [
            (target, view_patch(shared or target.view, size, crop, self._half_stride))
            for target in [*targets, *elsewhere]
        ]
        predicted = in_parts(
            lambda part: self._predict_together(part, frame), placed, most=self._most_together
        )
        return best_of(predicted[: len(targets)], predicted[len(targets) :])

    def _predict_together(
        self, placed: Sequence[tuple[Target, Patch]], frame: Frame
    ) -> list[Found]:
        patches = [patch for _, patch in placed]
        features = self._look(frame, patches[:1] if self.config.speed.share_crop else patches)
        x = features.x.expand(len(placed), -1, -1, -1)
        with self._watch("target model"):
            tau = torch.cat([target.tau for target, _ in placed])
            scores = apply_target_model(tau, x[None])[0]
        with self._watch("decoder"):
            decoded = self._decoded(scores, features, self.config.crop.size)
        with self._watch("presence"):
            targets = [target for target, _ in placed]
            judgements = self._absence.judge(targets, decoded, x, scores)
        with self._watch("paste"):
            size, crop = size_of(frame), self.config.crop
            return [
                Found(
                    target,
                    paste(logits.float(), patch.extent, size, exact=crop.exact_paste),
                    Sample(patch, x_object),
                    judged=judged,
                    area=pasted_part(crop.size, patch.extent, size, exact=crop.exact_paste),
                )
                for (target, patch), logits, x_object, judged in zip(
                    placed, decoded.logits, x, judgements, strict=True
                )
            ]

    def _look(self, frame: Frame, patches: Sequence[Patch]) -> Features:
        """Cut patches out of the frame and extract their features."""
        with self._watch("crop"):
            crops = torch.stack([cut_image(frame, patch) for patch in patches])
        return self._features(crops)

    def _features(self, crops: Tensor) -> Features:
        """Extract features of RGB crops; those of the target model stay in float32."""
        layout = torch.channels_last if self.config.speed.channels_last else torch.preserve_format
        with self._watch("crop"):
            images = self.network.prepare(crops).to(self.dtype, memory_format=layout)
        with self._watch("trunk"):
            taps = self._trunk(images)
        with self._watch("target features"):
            return Features(taps, self._target_features(taps.layer3).float())

    def _decoded(self, scores: Tensor, features: Features, size: Size) -> Decoded:
        return self._decode(scores.to(self.dtype), features.taps, size)

    def _marked(self, frame: Frame, prompt: Mask | Box) -> Marked:
        """Convert a mask or a box into the input for starting or correcting an object."""
        if isinstance(prompt, Box):
            assert self._box_start is not None, "boxes are converted to masks elsewhere"
            return self._box_start.mark(frame, prompt)
        mask, box = prompt.to(self.device).float(), published_box(prompt.cpu().numpy())
        return Marked(mask, box, (2 * mask - 1) * -OUTSIDE_LOGIT)

    def _begin(self, object_id: int, frame: Frame, marked: Marked) -> Found:
        """Fit a new target model to the frame on which its object starts."""
        view = first_view(marked.box, self.config.crop)
        patch = first_patch(view, size_of(frame), self.config.crop)
        x = self._look(frame, [patch]).x
        mask = cut_mask(marked.soft_mask, patch)
        slot = self._slots(x, [mask])[0]
        first = self._absence.describe(x[0], mask, slot.label)
        tau, memory = self.network.no_filters(1, x), Memory.of_first(slot)
        target = Target(object_id, 1, view, None, tau, memory, None, first)
        target = self._learn(target, self.config.learner.initial_steps)
        return Found(target, marked.logits)

    def _correct(self, target: Target, frame: Frame, marked: Marked) -> Found:
        """Replace the mask by the user's prompt, and add the frame to the memory as annotated."""
        view = first_view(marked.box, self.config.crop)
        slot = self._annotated(frame, view, marked.soft_mask)
        memory = target.memory.insert(slot, self.config.memory)
        target = replace(target, view=view, memory=memory, usual_likeness=None)
        return Found(self._learn(target, self.config.learner.update_steps), marked.logits)

    def _learn_absence(self, target: Target, frame: Frame) -> Found:
        """Add the frame to the memory with an empty mask, because the user marked it absent."""
        view = follow(target.view, target.seen, self.config.crop)
        empty = torch.zeros_like(frame[0], dtype=torch.float32)
        memory = target.memory.with_absence(self._annotated(frame, view, empty))
        target = replace(target, view=view, memory=memory)
        target = self._learn(target, self.config.learner.update_steps)
        return Found(target, torch.full_like(empty, OUTSIDE_LOGIT), absent=True)

    def _annotated(self, frame: Frame, view: View, mask: Tensor) -> Slot:
        """Return a view of the frame with a mask from the user as a memory slot."""
        patch = view_patch(view, size_of(frame), self.config.crop, self._half_stride)
        slot = self._slots(self._look(frame, [patch]).x, [cut_mask(mask, patch)])[0]
        return replace(slot, annotated=True)

    def _slots(self, x: Tensor, masks: Sequence[Tensor]) -> list[Slot]:
        """Encode masks and combine them with the features of the same crops."""
        with self._watch("label encoder"):
            labels = self.network.label_encoder(torch.stack(list(masks)))
            parts = (_channels_last_copies(part) for part in (x.to(self._stored), *labels))
            return [Slot(*tensors) for tensors in zip(*parts, strict=True)]

    def _merge(self, objects: Sequence[Found], frame: Frame) -> tuple[LWLState, ObjectMasks]:
        """Merge the objects by soft aggregation; each of them learns from the merged result."""
        self._buffers.keep_only([one.target.object_id for one in objects])
        if not objects:
            return LWLState(), ObjectMasks((), frame.new_zeros(0, *frame.shape[-2:]).float())
        with self._watch("merge"):
            merged, presence, located = self._absence.merge(objects)
        targets = [
            self._absence.follow_up(one, location, size_of(frame))
            for one, location in zip(objects, located, strict=True)
        ]
        samples = {
            i: one.sample
            for i, (one, location) in enumerate(zip(objects, located, strict=True))
            if one.sample is not None and self._absence.is_remembered(targets[i], location)
        }
        if samples:  # as memory slots, with the merged probabilities as masks
            x = torch.stack([sample.x for sample in samples.values()])
            masks = [cut_mask(merged[i], sample.patch) for i, sample in samples.items()]
            for i, slot in zip(samples, self._slots(x, masks), strict=True):
                targets[i] = replace(targets[i], latest=slot)
        ids = tuple(target.object_id for target in targets)
        return LWLState(tuple(targets)), ObjectMasks(ids, merged, presence)


def _channels_last_copies(images: Tensor) -> list[Tensor]:
    """Split images × C × h × w into separate copies of shape h × w × C."""
    moved = images.movedim(1, -1)
    return [image.clone(memory_format=torch.contiguous_format) for image in moved]
