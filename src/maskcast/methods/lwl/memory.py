"""The frames that a target model is fitted to, and their temporal weights.

    x         h × w × C   target-model features, in float32 or bfloat16
    label     h × w × D   e = E(y)
    weight    h × w × D   w = W(y)

A memory is immutable: inserting a frame returns a new memory that shares all other slots. Frames
without the object are kept separately; their weights do not decay and do not affect the others.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection
from dataclasses import dataclass, replace
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from maskcast.methods.lwl.config import MemoryConfig
from maskcast.methods.lwl.few_shot_learner import Samples

ABSENCES = 4
"""Maximum number of frames without the object in a memory."""


@dataclass(frozen=True)
class Slot:
    """One frame in the memory; the mask is stored as the output of the label encoder."""

    x: Float[Tensor, "h w C"]
    label: Float[Tensor, "h w D"]
    weight: Float[Tensor, "h w D"]
    annotated: bool = False
    """Whether the user gave or corrected the mask on this frame, or marked the object absent."""


@dataclass(frozen=True)
class Memory:
    """Frames with their temporal weights γ, which decay by η (section 3.5 of the paper).

    ``MemoryConfig.gamma_weighs`` selects what they multiply.
    """

    slots: tuple[Slot, ...]
    gammas: tuple[float, ...]
    """Temporal weights; their sum is 1, or slightly more if annotated frames have their minimum."""
    newest: int = 0
    """Index of the slot that was filled last."""
    absences: tuple[Slot, ...] = ()
    """Frames without the object, with an empty mask; the oldest first."""

    @classmethod
    def of_first(cls, slot: Slot) -> Memory:
        """Return a memory that holds the frame on which an object starts."""
        return cls((slot,), (1.0,))

    def insert(self, slot: Slot, config: MemoryConfig) -> Memory:
        """Return the memory with one more frame; if full, it replaces the one of lowest weight."""
        gammas = list(self.gammas)
        index = self._index_to_fill(config)
        if index == len(gammas):
            gammas.append(0.0)
        first_insertion = len(self.slots) == 1 and config.size > 1
        if first_insertion and config.equal_second_weight:
            gammas[index] = 1.0
        elif first_insertion and not config.decay_from_first:
            gammas = [gamma / (1 - config.update_rate) for gamma in gammas]
            gammas[index] = config.update_rate
        else:
            gammas[index] = self.gammas[self.newest] / (1 - config.update_rate)
        slots = (*self.slots[:index], slot, *self.slots[index + 1 :])
        memory = Memory(slots, _normalised(gammas), index, self.absences)
        return replace(memory, gammas=memory._with_minimum(config.minimum_first_weight))

    def with_absence(self, slot: Slot) -> Memory:
        """Return the memory with one more frame without the object, at most ``ABSENCES`` in all.

        The oldest one that the user has not marked is dropped first.
        """
        kept = list(self.absences)
        if len(kept) == ABSENCES:
            unmarked = [index for index, frame in enumerate(kept) if not frame.annotated]
            del kept[unmarked[0] if unmarked else 0]
        return replace(self, absences=(*kept, slot))

    def _index_to_fill(self, config: MemoryConfig) -> int:
        """Return the slot to fill: a free one, or the one of lowest weight without annotation."""
        if len(self.slots) < config.size:
            return len(self.slots)
        is_kept = config.keep_first_frame or config.minimum_first_weight > 0
        first_stays = is_kept and config.size > 1
        indices = range(1 if first_stays else 0, len(self.slots))
        replaceable = [index for index in indices if not self.slots[index].annotated] or indices
        return min(replaceable, key=self.gammas.__getitem__)

    def _with_minimum(self, minimum: float) -> tuple[float, ...]:
        """Raise the total weight of annotated slots to the minimum and rescale the others."""
        kept = [index == 0 or slot.annotated for index, slot in enumerate(self.slots)]
        share = sum(gamma for gamma, keep in zip(self.gammas, kept, strict=True) if keep)
        if minimum == 0 or share >= minimum:
            return self.gammas
        rest = sum(gamma for gamma, keep in zip(self.gammas, kept, strict=True) if not keep)
        return tuple(
            minimum * gamma / share if keep else gamma / (minimum + rest)
            for gamma, keep in zip(self.gammas, kept, strict=True)
        )


def factors(gammas: tuple[float, ...], config: MemoryConfig) -> tuple[float, ...]:
    """Return the factors of the residuals for temporal weights γ: γ itself, or √γ."""
    if config.gamma_weighs == "residual":
        return gammas
    return tuple(sqrt(gamma) for gamma in gammas)


def _normalised(gammas: list[float]) -> tuple[float, ...]:
    total = sum(gammas)
    return tuple(gamma / total for gamma in gammas)


class _Buffer:
    """The slots of one object stacked into tensors for the learner."""

    def __init__(self, slot: Slot, size: int, dtype: torch.dtype) -> None:
        parts = slot.x.to(dtype), slot.label, slot.weight
        self.x, self.label, self.weight = (part.new_empty(size, *part.shape) for part in parts)
        self.held: list[weakref.ref[Slot] | None] = [None] * size

    def fits(self, slot: Slot) -> bool:
        return self.x.shape[1:] == slot.x.shape and self.x.device == slot.x.device

    def put(self, index: int, slot: Slot) -> None:
        held = self.held[index]
        if held is None or held() is not slot:
            self.x[index], self.label[index], self.weight[index] = slot.x, slot.label, slot.weight
            self.held[index] = weakref.ref(slot)


class SampleBuffers:
    """Stacks memories for the learner, copying only the slots that changed since the last call.

    This is a cache outside the state: a result depends only on the memory passed in. It is valid
    until the next call for the same object.

    Args:
        config: settings of the memories.
        dtype: data type of x for the learner, whatever that of the slots is.
    """

    def __init__(self, config: MemoryConfig, dtype: torch.dtype = torch.float32) -> None:
        self._size = config.size + ABSENCES
        self._config = config
        self._dtype = dtype
        self._buffers: dict[int, _Buffer] = {}

    def samples(self, object_id: int, memory: Memory) -> Samples:
        """Return the memory of an object as samples of one sequence, with v = γ·w (or √γ·w)."""
        first, buffer = memory.slots[0], self._buffers.get(object_id)
        if buffer is None or not buffer.fits(first):
            buffer = self._buffers[object_id] = _Buffer(first, self._size, self._dtype)
        for index, slot in enumerate((*memory.slots, *memory.absences)):
            buffer.put(index, slot)
        absences = len(memory.absences)
        gammas = memory.gammas + absences * (self._config.absent_share / max(absences, 1),)
        frames = len(gammas)
        weights = buffer.weight.new_tensor(factors(gammas, self._config)).view(-1, 1, 1, 1)
        v = buffer.weight[:frames] * weights
        return Samples(buffer.x[None, :frames], buffer.label[None, :frames], v[None])

    def keep_only(self, object_ids: Collection[int]) -> None:
        """Free the buffers of all other objects."""
        for object_id in self._buffers.keys() - set(object_ids):
            del self._buffers[object_id]
