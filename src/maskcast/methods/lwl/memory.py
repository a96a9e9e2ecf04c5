"""The frames a target model is fitted to, and how much each of them counts.

    x         C × h × w   target-model features
    label     D × h × w   e = E(y)
    weight    D × h × w   w = W(y)

A memory is a value: inserting returns a new one that shares all other slots with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from maskcast.methods.lwl.config import MemoryConfig


@dataclass(frozen=True)
class Slot:
    """One remembered frame; the mask is kept as what the label encoder made of it."""

    x: Float[Tensor, "C h w"]
    label: Float[Tensor, "D h w"]
    weight: Float[Tensor, "D h w"]
    annotated: bool = False
    """A person gave or corrected the mask on this frame."""


@dataclass(frozen=True)
class Memory:
    """Remembered frames with their temporal weights γ, which multiply the residual."""

    slots: tuple[Slot, ...]
    gammas: tuple[float, ...]
    """Sum to about 1; slightly more where annotated frames hold their minimum."""
    newest: int = 0
    """The slot that was filled last."""

    @classmethod
    def of_first(cls, slot: Slot) -> Memory:
        """Return the memory of the frame on which an object was given."""
        return cls((slot,), (1.0,))

    def insert(self, slot: Slot, config: MemoryConfig) -> Memory:
        """Return the memory with one more frame, at the place of the least important if full."""
        gammas = list(self.gammas)
        place = self._place(config)
        if place == len(gammas):
            gammas.append(0.0)
        first_insertion = len(self.slots) == 1 and config.size > 1
        if first_insertion and config.equal_second_weight:
            gammas[place] = 1.0
        elif first_insertion:
            gammas = [gamma / (1 - config.update_rate) for gamma in gammas]
            gammas[place] = config.update_rate
        else:
            gammas[place] = self.gammas[self.newest] / (1 - config.update_rate)
        slots = (*self.slots[:place], slot, *self.slots[place + 1 :])
        memory = Memory(slots, _normalised(gammas), place)
        return replace(memory, gammas=memory._with_minimum(config.minimum_first_weight))

    def _place(self, config: MemoryConfig) -> int:
        """Choose the slot to fill: a free one, else the lightest that nobody annotated."""
        if len(self.slots) < config.size:
            return len(self.slots)
        first_stays = config.minimum_first_weight > 0 and config.size > 1
        places = range(1 if first_stays else 0, len(self.slots))
        replaceable = [place for place in places if not self.slots[place].annotated] or places
        return min(replaceable, key=self.gammas.__getitem__)

    def _with_minimum(self, minimum: float) -> tuple[float, ...]:
        """Lift the annotated slots to their minimum together; the rest shares what was left."""
        kept = [place == 0 or slot.annotated for place, slot in enumerate(self.slots)]
        share = sum(gamma for gamma, keep in zip(self.gammas, kept, strict=True) if keep)
        if minimum == 0 or share >= minimum:
            return self.gammas
        rest = sum(gamma for gamma, keep in zip(self.gammas, kept, strict=True) if not keep)
        return tuple(
            minimum * gamma / share if keep else gamma / (minimum + rest)
            for gamma, keep in zip(self.gammas, kept, strict=True)
        )


def _normalised(gammas: list[float]) -> tuple[float, ...]:
    total = sum(gammas)
    return tuple(gamma / total for gamma in gammas)
