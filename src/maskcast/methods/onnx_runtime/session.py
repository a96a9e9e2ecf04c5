"""Segment a video, whatever the method, and convert states for saving."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskcast.methods.onnx_runtime.agame import Agame, AgameState
from maskcast.methods.onnx_runtime.crops import Sighting, View
from maskcast.methods.onnx_runtime.graph_files import Graphs
from maskcast.methods.onnx_runtime.lwl import LWL
from maskcast.methods.onnx_runtime.lwl_absence import Target
from maskcast.methods.onnx_runtime.lwl_memory import Memory, Slot
from maskcast.methods.onnx_runtime.prompts import Array, Box, Masks, is_absent

STATES: dict[str, Any] = {
    kind.__name__: kind for kind in (View, Sighting, Slot, Memory, Target, AgameState)
}


def arrays_of(state: Any) -> dict[str, Array]:
    """Return a state as named arrays, for ``numpy.savez``."""
    arrays: dict[str, Array] = {}

    def outline(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays[f"array{len(arrays)}"] = value
            return {"array": f"array{len(arrays) - 1}"}
        if isinstance(value, tuple):
            return {"tuple": type(value).__name__, "items": [outline(item) for item in value]}
        return value

    arrays["outline"] = np.array(json.dumps(outline(state)))
    return arrays


def state_of(arrays: Mapping[str, Array]) -> Any:
    """Return the state that ``arrays_of`` has converted."""

    def value_of(entry: Any) -> Any:
        if not isinstance(entry, dict):
            return entry
        if "array" in entry:
            return arrays[entry["array"]]
        items, kind = [value_of(item) for item in entry["items"]], STATES.get(entry["tuple"])
        return tuple(items) if kind is None else kind(*items)

    return value_of(json.loads(str(arrays["outline"])))


class Session:
    """Follows objects through videos; holds the graphs, but nothing about any video.

    Args:
        folder: folder of an export in the form ``onnx``.
        threads: threads of onnxruntime; 0 uses all cores.
        boxes_from: folder of an export of LWL, which converts boxes for A-GAME into masks.
        providers: execution providers of onnxruntime, in order of preference.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        threads: int = 0,
        boxes_from: str | Path | None = None,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        graphs = Graphs(folder, threads, providers)
        self.card = graphs.card
        kinds: dict[str, type[LWL] | type[Agame]] = {"lwl": LWL, "agame": Agame}
        self._method: Any = kinds[self.card["method"]](graphs)
        self._boxer = (
            None
            if boxes_from is None
            else Session(boxes_from, threads=threads, providers=providers)
        )

    def start(self) -> Any:
        """Return the state before any frame, without objects."""
        return self._method.start()

    def step(
        self, state: Any, frame: Array, prompts: Mapping[int, Any] | None = None
    ) -> tuple[Any, Masks]:
        """Segment the next frame.

        A prompt for an unknown id starts that object on this frame. A prompt for a known id is a
        correction. The given state stays valid.
        """
        if frame.ndim != 3 or frame.shape[0] != 3 or frame.dtype != np.float32:
            raise ValueError(
                "a frame must be float32 of shape (3, height, width), got "
                f"{frame.dtype} of {frame.shape}"
            )
        prompts = dict(prompts or {})
        has_boxes = any(isinstance(prompt, Box) for prompt in prompts.values())
        if has_boxes and isinstance(self._method, Agame):
            prompts = self._masks_instead(frame, prompts)
        result: tuple[Any, Masks] = self._method.step(state, frame, prompts)
        return result

    def remove_objects(self, state: Any, ids: Collection[int]) -> Any:
        """Stop tracking these objects; ids that are not tracked are ignored."""
        return self._method.remove_objects(state, ids)

    def after_cut(self, state: Any) -> Any:
        """Expect every object anywhere or nowhere, before the first frame of a new shot."""
        return self._method.after_cut(state)

    def _masks_instead(self, frame: Array, prompts: Mapping[int, Any]) -> dict[int, Any]:
        """Convert boxes into masks with the graphs of LWL."""
        if self._boxer is None:
            raise ValueError(
                "A-GAME starts from masks; for boxes, give boxes_from, a folder of graphs of LWL"
            )
        shown = {key: prompt for key, prompt in prompts.items() if not is_absent(prompt)}
        labels = self._boxer.step(self._boxer.start(), frame, shown)[1].label_map()
        masks = dict(prompts)
        for key, prompt in shown.items():
            if isinstance(prompt, Box):
                mask = labels == key
                masks[key] = mask if mask.any() else _filled(prompt, labels == 0)
        return masks


def _filled(box: Box, free: Array) -> Array:
    """Return the free pixels of a box, or its centre if there are none."""
    (top, bottom), (left, right) = (
        (min(max(int(at), 0), side - 1), min(max(int(at + length), 0), side - 1))
        for at, length, side in (
            (box.y, box.height, free.shape[0]),
            (box.x, box.width, free.shape[1]),
        )
    )
    mask = np.zeros_like(free)
    mask[top : bottom + 1, left : right + 1] = free[top : bottom + 1, left : right + 1]
    if not mask.any():
        mask[(top + bottom) // 2, (left + right) // 2] = True
    return mask
