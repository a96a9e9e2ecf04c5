"""LWL around its graphs: crops, memories, absence and merging."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from maskcast.methods.onnx_runtime.crops import Geometry, View, margins, sighting
from maskcast.methods.onnx_runtime.graph_files import Graphs
from maskcast.methods.onnx_runtime.lwl_absence import (
    USUAL_RATE,
    FoundObject,
    Judgement,
    Located,
    Target,
    after_return,
    judge,
    last_extent,
    locate,
    views_elsewhere,
)
from maskcast.methods.onnx_runtime.lwl_memory import ABSENCES, Memory, SampleBuffer, Slot
from maskcast.methods.onnx_runtime.prompts import (
    VISIBLE,
    Array,
    Box,
    Masks,
    Size,
    box_of,
    checked_mask,
    clipped_box,
    is_absent,
)
from maskcast.methods.onnx_runtime.resampling import OUTSIDE_LOGIT, aggregate_logits, sigmoid


class Marked(NamedTuple):
    """A prompt for one object as a soft mask, a box and logits."""

    soft_mask: Array
    box: Box
    logits: Array


class LWL:
    """Segments videos with the graphs of LWL; see ``Session``."""

    def __init__(self, graphs: Graphs) -> None:
        self.graphs, self.config = graphs, graphs.card["config"]
        self.geometry = Geometry(self.config)
        self.rule = None if self.config["presence"]["rule"] == "off" else self.config["presence"]
        self._buffers: dict[int, SampleBuffer] = {}

    def start(self) -> tuple[Target, ...]:
        return ()

    def step(
        self, state: tuple[Target, ...], frame: Array, prompts: Mapping[int, Any]
    ) -> tuple[tuple[Target, ...], Masks]:
        known = {target.object_id for target in state}
        absent = {key for key, prompt in prompts.items() if is_absent(prompt)}
        if unknown := absent - known:
            raise ValueError(f"object {min(unknown)} is marked absent before its first mask")
        targets = [self._adapt(target) for target in state]
        marked = {
            key: self._marked(frame, prompt)
            for key, prompt in prompts.items()
            if not is_absent(prompt)
        }
        if self.config["crop"]["disjoint_boxes"]:
            marked = _disjoint(marked, prompts)
        objects = []
        for target in targets:
            if target.object_id in marked:
                objects.append(self._correct(target, frame, marked[target.object_id]))
            elif target.object_id in absent:
                objects.append(self._learn_absence(target, frame))
            else:
                objects.append(self._predict(target, frame))
        objects += [self._begin(key, frame, m) for key, m in marked.items() if key not in known]
        return self._merge(objects, (frame.shape[1], frame.shape[2]))

    def remove_objects(self, state: tuple[Target, ...], ids: Collection[int]) -> tuple[Target, ...]:
        return tuple(target for target in state if target.object_id not in ids)

    def after_cut(self, state: tuple[Target, ...]) -> tuple[Target, ...]:
        if self.rule is None:
            return state
        remembered = map(self._remember, state)
        return tuple(one._replace(absent_frames=1, everywhere=True) for one in remembered)

    def _adapt(self, target: Target) -> Target:
        target = target._replace(frames=target.frames + 1)
        if target.latest is None and self.rule is None:
            return target
        target = self._remember(target)
        due = (target.frames - 1) % self.config["learner"]["update_every"] == 0
        return self._learn(target) if due and target.unlearnt else target

    def _remember(self, target: Target) -> Target:
        if target.latest is None:
            return target
        memory = (
            target.memory.with_absence(target.latest)
            if target.absent_frames
            else target.memory.insert(target.latest, self.config["memory"])
        )
        return target._replace(memory=memory, latest=None, unlearnt=True)

    def _learn(self, target: Target) -> Target:
        if "learn" not in self.graphs:  # update_steps is 0
            return target
        if target.object_id not in self._buffers:
            size = self.config["memory"]["size"] + ABSENCES
            self._buffers[target.object_id] = SampleBuffer(target.memory.slots[0], size)
        samples = self._buffers[target.object_id].samples(target.memory, self.config["memory"])
        tau = self.graphs("learn", tau=target.tau, **samples)["tau_after"]
        return target._replace(tau=tau, unlearnt=False)

    def _predict(self, target: Target, frame: Array) -> FoundObject:
        size = frame.shape[1], frame.shape[2]
        target = target._replace(view=self.geometry.follow(target.view, target.seen))
        found = self._predict_in(target, frame)
        if self.rule is None:
            return found
        for view in views_elsewhere(target, size, self.geometry.size, self.rule["search"]):
            other = self._predict_in(target._replace(view=view), frame)
            assert found.judged is not None and other.judged is not None
            if other.judged.presence >= max(VISIBLE, found.judged.presence):
                found = other
        return found

    def _predict_in(self, target: Target, frame: Array) -> FoundObject:
        size = frame.shape[1], frame.shape[2]
        patch = self.geometry.patch(target.view, size)
        results = self._results(target, patch.image(frame))
        exact = self.config["crop"]["exact_paste"]
        logits = self.geometry.paste(results["logits"][0], patch, size, exact=exact)
        judged = judge(target, results, self.rule) if self.rule is not None else None
        return FoundObject(target, logits, patch, results["x"][0], judged=judged)

    def _results(self, target: Target, crop: Array) -> dict[str, Array]:
        first = {} if target.first is None else {"first": target.first}
        return self.graphs("predict", crop=crop[None], tau=target.tau, **first)

    def _marked(self, frame: Array, prompt: Any) -> Marked:
        size = frame.shape[1], frame.shape[2]
        if not isinstance(prompt, Box):
            mask = checked_mask(prompt, size)
            logits = np.where(mask, -OUTSIDE_LOGIT, OUTSIDE_LOGIT).astype(np.float32)
            return Marked(mask.astype(np.float32), box_of(mask), logits)
        if "box" not in self.graphs:
            raise ValueError("these graphs have no box encoder; give masks instead of boxes")
        inside = clipped_box(prompt, size)
        patch = self.geometry.box_patch(inside, size)
        (top, left), (bottom, right) = patch.extent
        down, across = (
            self.geometry.size[0] / (bottom - top),
            self.geometry.size[1] / (right - left),
        )
        corners = (inside.x - left) * across, (inside.y - top) * down
        box = np.array([[*corners, inside.width * across, inside.height * down]], np.float32)
        logits = self.graphs("box", crop=patch.image(frame)[None], box=box)["logits"][0]
        logits = self.geometry.paste(logits, patch, size, exact=True)
        return Marked(sigmoid(logits), prompt, logits)

    def _begin(self, object_id: int, frame: Array, marked: Marked) -> FoundObject:
        view = self.geometry.first_view(marked.box)
        patch = self.geometry.first_patch(view, (frame.shape[1], frame.shape[2]))
        mask = patch.mask(marked.soft_mask)
        results = self.graphs("begin", crop=patch.image(frame)[None], mask=mask[None])
        slot = Slot(results["x"][0], results["label"][0], results["weight"][0])
        memory = Memory((slot,), (1.0,))
        first = results.get("first")
        self._buffers.pop(object_id, None)
        target = Target(object_id, 1, view, None, results["tau"], memory, None, first)
        return FoundObject(target, marked.logits)

    def _correct(self, target: Target, frame: Array, marked: Marked) -> FoundObject:
        view = self.geometry.first_view(marked.box)
        slot = self._annotated(target, frame, view, marked.soft_mask)
        memory = target.memory.insert(slot, self.config["memory"])
        target = target._replace(view=view, memory=memory, usual_likeness=None)
        return FoundObject(self._learn(target), marked.logits)

    def _learn_absence(self, target: Target, frame: Array) -> FoundObject:
        view = self.geometry.follow(target.view, target.seen)
        empty = np.zeros(frame.shape[1:], np.float32)
        memory = target.memory.with_absence(self._annotated(target, frame, view, empty))
        target = self._learn(target._replace(view=view, memory=memory))
        return FoundObject(target, np.full_like(empty, OUTSIDE_LOGIT), absent=True)

    def _annotated(self, target: Target, frame: Array, view: View, mask: Array) -> Slot:
        patch = self.geometry.patch(view, (frame.shape[1], frame.shape[2]))
        x = self._results(target, patch.image(frame))["x"][0]
        return self._slot(x, patch.mask(mask))._replace(annotated=True)

    def _slot(self, x: Array, mask: Array) -> Slot:
        label = self.graphs("label", mask=mask[None])
        return Slot(x, label["label"][0], label["weight"][0])

    def _merge(
        self, objects: Sequence[FoundObject], size: Size
    ) -> tuple[tuple[Target, ...], Masks]:
        ids = tuple(one.target.object_id for one in objects)
        for key in self._buffers.keys() - set(ids):
            del self._buffers[key]
        if not objects:
            return (), Masks((), np.zeros((0, *size), np.float32), None)
        judged = [one.judged or Judgement(*2 * [float(not one.absent)]) for one in objects]
        visible = np.array([one.presence >= VISIBLE for one in judged])[:, None, None]
        logits = np.stack([one.logits for one in objects])
        merged = aggregate_logits(np.where(visible, logits, np.float32(OUTSIDE_LOGIT))) * visible
        targets = [
            self._follow_up(one, probs, judgement, size)
            for one, probs, judgement in zip(objects, merged, judged, strict=True)
        ]
        presence = None if self.rule is None else tuple(one.presence for one in judged)
        return tuple(targets), Masks(ids, merged, presence)

    def _follow_up(self, one: FoundObject, probs: Array, judged: Judgement, size: Size) -> Target:
        """Record the position of an object, and its prediction for the memory."""
        minimum, target = self.config["crop"]["minimum_mass"], one.target
        if self.rule is None:
            seen = sighting(margins(probs), height=size[0], minimum_mass=minimum)
            target, is_remembered = target._replace(seen=seen), True
        else:
            located = locate(probs, judged, last_extent(target), minimum_mass=minimum)
            target = self._follow_located(target, one.judged, located, size)
            is_remembered = self._is_remembered(target, located)
        if one.patch is None or one.x is None or not is_remembered:
            return target._replace(latest=None)
        return target._replace(latest=self._slot(one.x, one.patch.mask(probs)))

    def _follow_located(
        self, target: Target, judged: Judgement | None, located: Located, size: Size
    ) -> Target:
        if not located.is_present:
            return target._replace(seen=None, absent_frames=target.absent_frames + 1)
        view, usual = target.view, target.usual_likeness
        if target.absent_frames and located.seen is not None:
            view = after_return(view, located.seen, size)
        if judged is not None and judged.likeness is not None:
            before = judged.likeness if usual is None else usual
            usual = before + USUAL_RATE * (judged.likeness - before)
        return target._replace(
            view=view,
            seen=located.seen,
            usual_likeness=usual,
            absent_frames=0,
            everywhere=False,
        )

    def _is_remembered(self, target: Target, located: Located) -> bool:
        assert self.rule is not None
        if target.absent_frames:
            is_early = target.absent_frames <= self.rule["remembered"]
            return bool(is_early and located.confidence <= self.rule["remembered_up_to"])
        return target.seen is not None


def _disjoint(marked: dict[int, Marked], prompts: Mapping[int, Any]) -> dict[int, Marked]:
    """Merge all masks of a frame; those made from boxes give up the pixels of others."""
    if not marked:
        return marked
    merged = aggregate_logits(np.stack([one.logits for one in marked.values()]))
    return {
        key: one._replace(soft_mask=mask) if isinstance(prompts[key], Box) else one
        for (key, one), mask in zip(marked.items(), merged, strict=True)
    }
