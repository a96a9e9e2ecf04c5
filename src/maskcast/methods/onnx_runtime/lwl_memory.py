"""The memory of LWL, and its arrays for the learner."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from maskcast.methods.onnx_runtime.prompts import Array

ABSENCES = 4


class Slot(NamedTuple):
    """One frame in the memory; ``annotated``: a person gave its mask, or marked an absence."""

    x: Array
    label: Array
    weight: Array
    annotated: bool = False


class Memory(NamedTuple):
    """Frames with their temporal weights; frames without the object are kept separately."""

    slots: tuple[Slot, ...]
    gammas: tuple[float, ...]
    newest: int = 0
    absences: tuple[Slot, ...] = ()

    def insert(self, slot: Slot, config: Mapping[str, Any]) -> Memory:
        """Return the memory with one more frame; if full, it replaces the one of lowest weight."""
        gammas, decay = list(self.gammas), 1 - config["update_rate"]
        index = self._index_to_fill(config)
        if index == len(gammas):
            gammas.append(0.0)
        is_second = len(self.slots) == 1 and config["size"] > 1
        if is_second and config["equal_second_weight"]:
            gammas[index] = 1.0
        elif is_second and not config["decay_from_first"]:
            gammas = [gamma / decay for gamma in gammas]
            gammas[index] = config["update_rate"]
        else:
            gammas[index] = self.gammas[self.newest] / decay
        total = sum(gammas)
        slots = (*self.slots[:index], slot, *self.slots[index + 1 :])
        memory = Memory(slots, tuple(gamma / total for gamma in gammas), index, self.absences)
        return memory._replace(gammas=memory._with_minimum(config["minimum_first_weight"]))

    def with_absence(self, slot: Slot) -> Memory:
        """Return the memory with one more frame without the object."""
        kept = list(self.absences)
        if len(kept) == ABSENCES:
            unmarked = [index for index, frame in enumerate(kept) if not frame.annotated]
            del kept[unmarked[0] if unmarked else 0]
        return self._replace(absences=(*kept, slot))

    def _index_to_fill(self, config: Mapping[str, Any]) -> int:
        if len(self.slots) < config["size"]:
            return len(self.slots)
        is_kept = config["keep_first_frame"] or config["minimum_first_weight"] > 0
        indices = range(1 if is_kept and config["size"] > 1 else 0, len(self.slots))
        replaceable = [index for index in indices if not self.slots[index].annotated] or indices
        return min(replaceable, key=self.gammas.__getitem__)

    def _with_minimum(self, minimum: float) -> tuple[float, ...]:
        kept = [index == 0 or slot.annotated for index, slot in enumerate(self.slots)]
        share = sum(gamma for gamma, keep in zip(self.gammas, kept, strict=True) if keep)
        if minimum == 0 or share >= minimum:
            return self.gammas
        rest = sum(gamma for gamma, keep in zip(self.gammas, kept, strict=True) if not keep)
        return tuple(
            minimum * gamma / share if keep else gamma / (minimum + rest)
            for gamma, keep in zip(self.gammas, kept, strict=True)
        )


class SampleBuffer:
    """The memory of one object in arrays for the learner; only changed slots are copied."""

    def __init__(self, slot: Slot, size: int) -> None:
        self._arrays = [np.zeros((size, *part.shape), np.float32) for part in slot[:3]]
        self._held: list[Slot | None] = [None] * size

    def samples(self, memory: Memory, config: Mapping[str, Any]) -> dict[str, Array]:
        """Return features, labels and weights v = γ·w (or √γ·w) of all frames."""
        slots, absences = (*memory.slots, *memory.absences), len(memory.absences)
        for index, slot in enumerate(slots):
            if self._held[index] is not slot:
                for array, part in zip(self._arrays, slot[:3], strict=True):
                    array[index] = part
                self._held[index] = slot
        gammas = memory.gammas + absences * (config["absent_share"] / max(absences, 1),)
        if config["gamma_weighs"] == "loss":
            gammas = tuple(sqrt(gamma) for gamma in gammas)
        x, label, weight = (array[None, : len(slots)] for array in self._arrays)
        factors = np.array(gammas, np.float32).reshape(1, -1, 1, 1, 1)
        return {"x": x, "label": label, "v": weight * factors}
