"""A-GAME around its graphs: reducing, padding and the choice of objects."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from maskcast.methods.onnx_runtime.crops import STRIDE
from maskcast.methods.onnx_runtime.graph_files import Graphs
from maskcast.methods.onnx_runtime.prompts import (
    VISIBLE,
    Array,
    Masks,
    Size,
    checked_mask,
    is_absent,
    presence_from,
)
from maskcast.methods.onnx_runtime.resampling import antialiased, area, resample, resize


class AgameState(NamedTuple):
    """The state of a video with A-GAME; the arrays have one row per object."""

    ids: tuple[int, ...] = ()
    means: Array | None = None
    variances: Array | None = None
    part: Array | None = None
    previous_mask: Array | None = None
    absent_for: tuple[int, ...] = ()

    def rows(self) -> dict[str, Array]:
        """Return the arrays by the names of the inputs of the graphs."""
        names = ("means", "variances", "part", "previous_mask")
        return {name: getattr(self, name) for name in names}

    def select(self, slots: Sequence[int]) -> AgameState:
        """Return the objects in some slots, in this order."""
        if not slots:
            return AgameState()
        chosen = {name: array[list(slots)] for name, array in self.rows().items()}
        ids, absent_for = (
            tuple(values[slot] for slot in slots) for values in (self.ids, self.absent_for)
        )
        return AgameState(ids, absent_for=absent_for, **chosen)

    def joined(self, other: AgameState) -> AgameState:
        """Return these objects followed by others."""
        if not self.ids:
            return other
        theirs = other.rows()
        rows = {name: np.concatenate([a, theirs[name]]) for name, a in self.rows().items()}
        absent_for = self.absent_for + other.absent_for
        return AgameState(self.ids + other.ids, absent_for=absent_for, **rows)

    def replaced(self, slots: Sequence[int], **rows: Array) -> AgameState:
        """Return the objects with some arrays replaced in some slots."""
        changed = {}
        for name, array in rows.items():
            changed[name] = getattr(self, name).copy()
            changed[name][list(slots)] = array
        return self._replace(**changed)


class Agame:
    """Segments videos with the graphs of A-GAME; see ``Session``."""

    def __init__(self, graphs: Graphs) -> None:
        self.graphs, self.config = graphs, graphs.card["config"]
        rule = self.config["presence"]
        self.rule = None if rule["rule"] == "off" else rule
        self.padded: Size = tuple(graphs.card["graphs"]["begin"]["inputs"]["frame"]["shape"][2:])

    def start(self) -> AgameState:
        return AgameState()

    def step(
        self, state: AgameState, frame: Array, prompts: Mapping[int, Any]
    ) -> tuple[AgameState, Masks]:
        size = frame.shape[1], frame.shape[2]
        working = self._working_size(size)
        marked = {key for key, prompt in prompts.items() if is_absent(prompt)}
        given = {
            key: checked_mask(prompt, size)
            for key, prompt in sorted(prompts.items())
            if key not in marked
        }
        self._check_prompts(state, set(given), marked)
        if not (state.ids or given):
            return state, Masks((), np.zeros((0, *size), np.float32), None)
        small, shown = frame, given
        if working != size:
            axes = list(zip(size, working, strict=True))
            small = resample(frame, *(antialiased(*axis) for axis in axes))
            shown = {key: _shrunk(mask, axes) for key, mask in given.items()}
        rows, columns = (_reflected(side) for side in working)
        padded = small[:, rows[:, None], columns]
        shown = {key: mask[rows[:, None], columns] for key, mask in shown.items()}
        is_first = not state.ids
        state, probs, presence = self._segment(state, padded, shown, marked, is_first)
        returns_given = is_first or self.config["entry_frame"] == "given"
        if returns_given:
            probs = put(shown, state.ids, probs)
        top, left = (_before(side) for side in working)
        probs = resize(probs[:, top : top + working[0], left : left + working[1]], size)
        if returns_given and working != size:
            probs = put(given, state.ids, probs)
        return state, Masks(state.ids, probs, None if self.rule is None else tuple(presence))

    def remove_objects(self, state: AgameState, ids: Collection[int]) -> AgameState:
        return state.select([slot for slot, key in enumerate(state.ids) if key not in ids])

    def after_cut(self, state: AgameState) -> AgameState:
        return state

    def _segment(
        self,
        state: AgameState,
        frame: Array,
        shown: Mapping[int, Array],
        marked: Collection[int],
        is_first: bool,
    ) -> tuple[AgameState, Array, list[float]]:
        """Return state, merged probabilities and presence at the padded size."""
        if shown:
            state = self._begin(state, frame, shown)
        predicts = self.config["process_first_frame" if is_first else "entry_frame"]
        predicts_given = predicts is True or predicts == "predicted"
        slots = [
            slot
            for slot, key in enumerate(state.ids)
            if key not in marked and (predicts_given or key not in shown)
        ]
        standing = {k: m for k, m in shown.items() if state.ids.index(k) not in slots}
        presence = [float(key not in marked) for key in state.ids]
        probs, x = np.zeros((len(state.ids), *frame.shape[1:]), np.float32), None
        asked = slots or [state.ids.index(key) for key in sorted(marked)]
        if asked:
            limits = [0.0] * len(asked)
            if self.rule is not None:
                limits = [
                    0.0
                    if state.ids[slot] in shown
                    else self.rule["thresholds"][state.absent_for[slot] > 0]
                    for slot in asked
                ]
            results = self._results(state.select(asked), frame, limits, standing)
            x = results["x"]
            for row, slot in enumerate(slots):
                if limits[row] > 0:
                    presence[slot] = presence_from(float(results["confidence"][row]), limits[row])
            if slots:
                probs[slots] = results["probs"]
                names = ("means", "variances", "previous_mask")
                state = state.replaced(slots, **{n: results[f"{n}_after"] for n in names})
        probs = put(standing, state.ids, probs)
        return self._learn_absences(state, x, marked, presence), probs, presence

    def _begin(self, state: AgameState, frame: Array, shown: Mapping[int, Array]) -> AgameState:
        """Append new objects, and restart corrected ones in their slots."""
        fresh = self.graphs("begin", frame=frame[None], masks=np.stack(list(shown.values())))
        joined = state.joined(AgameState(tuple(shown), absent_for=(0,) * len(shown), **fresh))
        new_slots = {key: len(state.ids) + row for row, key in enumerate(shown)}
        order = [new_slots.get(key, slot) for slot, key in enumerate(state.ids)]
        order += [slot for key, slot in new_slots.items() if key not in state.ids]
        counts = dict(zip(state.ids, state.absent_for, strict=True))
        joined = joined.select(order)
        return joined._replace(absent_for=tuple(counts.get(key, 0) for key in joined.ids))

    def _results(
        self,
        objects: AgameState,
        frame: Array,
        limits: Sequence[float],
        standing: Mapping[int, Array],
    ) -> dict[str, Array]:
        taken = np.zeros((1, *frame.shape[1:]), np.float32)
        for mask in standing.values():
            taken[0][mask] = 1
        return self.graphs(
            "step", frame=frame[None], limits=np.array(limits), taken=taken, **objects.rows()
        )

    def _learn_absences(
        self,
        state: AgameState,
        x: Array | None,
        marked: Collection[int],
        presence: Sequence[float],
    ) -> AgameState:
        """Count the frames without an object, and learn from the first and the marked ones."""
        absent_for = tuple(
            count + 1 if value < VISIBLE else 0
            for count, value in zip(state.absent_for, presence, strict=True)
        )
        state = state._replace(absent_for=absent_for)
        most = self.config["presence"]["remembered"]
        slots = [
            slot
            for slot, key in enumerate(state.ids)
            if key in marked or 0 < absent_for[slot] <= most
        ]
        if not slots:
            return state
        assert x is not None and state.means is not None and state.variances is not None
        learnt = self.graphs(
            "absent", x=x, means=state.means[slots], variances=state.variances[slots]
        )
        state = state.replaced(
            slots, means=learnt["means_after"], variances=learnt["variances_after"]
        )
        certain = [slot for slot in slots if state.ids[slot] in marked]
        background = np.array([1.0, 0.0], np.float32).reshape(1, 2, 1, 1)
        return state.replaced(certain, previous_mask=background) if certain else state

    def _working_size(self, size: Size) -> Size:
        side = self.config["working_side"]
        scale = 1.0 if side is None else min(1.0, side / min(size))
        working = max(1, round(scale * size[0])), max(1, round(scale * size[1]))
        padded = tuple(-(-length // STRIDE) * STRIDE for length in working)
        if padded != self.padded:
            raise ValueError(
                f"these graphs are for frames of {self.graphs.card['frame_size']}, whose input is "
                f"{self.padded}, but a frame of {size} needs {padded}; export the weights for it"
            )
        return working

    def _check_prompts(
        self, state: AgameState, given: Collection[int], marked: Collection[int]
    ) -> None:
        if unknown := set(marked) - set(state.ids):
            raise ValueError(f"object {min(unknown)} is marked absent before its first mask")
        if self.config["entry_frame"] == "predicted" and (marked or set(given) & set(state.ids)):
            raise ValueError("corrections and absence marks require entry_frame=given")


def put(masks: Mapping[int, Array], ids: Sequence[int], probs: Array) -> Array:
    """Assign the pixels of given masks to their objects, regardless of predictions."""
    if not masks:
        return probs
    probs = np.where(np.any(list(masks.values()), axis=0), np.float32(0), probs)
    for object_id, mask in masks.items():
        probs[ids.index(object_id)] = mask
    return probs


def _shrunk(mask: Array, axes: Sequence[Size]) -> Array:
    """Reduce a mask to the pixels that it mostly covers, or else to those that it touches."""
    share = resample(mask.astype(np.float32), *(area(*axis) for axis in axes))
    small: Array = share > 0.5
    return small if small.any() else share > 0


def _before(size: int) -> int:
    return (-size % STRIDE + 1) // 2


def _reflected(size: int) -> Array:
    """Return the source position of every padded position."""
    period, first = max(2 * (size - 1), 1), -_before(size)
    positions = np.arange(first, first + size + -size % STRIDE) % period
    return np.minimum(positions, period - positions)
