"""A small real method for tests of everything around methods: it follows colours.

Every object has a mean colour, which moves towards what was found, so a wrong state shows at once;
masks found before are kept in slots, as methods with a memory do.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from maskcast.core.errors import ConfigError
from maskcast.core.state import ON_HOST
from maskcast.core.types import NO_PROMPTS, Box, ObjectMasks, split_prompts
from maskcast.methods.method import Method


@dataclass(frozen=True, kw_only=True)
class ColourConfig:
    """Settings of the stand-in."""

    sharpness: float = 40.0
    """How strictly colours are kept apart."""
    update_rate: float = 0.2
    """Share of the newest frame in a mean colour."""

    def __post_init__(self) -> None:
        if not 0 <= self.update_rate <= 1:
            raise ConfigError(f"update_rate must be in [0, 1], got {self.update_rate}")


@dataclass(frozen=True)
class Tracked:
    object_id: int
    colour: Tensor
    past: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class ColourState:
    objects: tuple[Tracked, ...] = ()
    background: Tensor | None = None
    random: Tensor = field(
        default_factory=lambda: torch.Generator().manual_seed(1).get_state(), metadata=ON_HOST
    )


class ColourTracker:
    """Follows objects by their mean colour."""

    def __init__(self, config: ColourConfig, colour_bias: Tensor) -> None:
        self.config = config
        self.colour_bias = colour_bias

    def start(self) -> ColourState:
        return ColourState()

    def step(self, state, frame, prompts=NO_PROMPTS):
        assert not any(isinstance(prompt, Box) for prompt in prompts.values())
        kept = {tracked.object_id: tracked for tracked in state.objects}
        given, absent = split_prompts(prompts, kept)
        for object_id, mask in given.items():
            kept[object_id] = Tracked(object_id, frame[:, mask].mean(dim=1))
        ids = tuple(kept)
        if not ids:
            return state, ObjectMasks((), frame.new_zeros(0, *frame.shape[1:]))
        background = state.background
        if background is None:
            free = ~torch.stack(list(given.values())).any(dim=0)
            background = frame[:, free].mean(dim=1) if free.any() else frame.new_zeros(3)
        present = [i for i in ids if i not in absent]
        probs = frame.new_zeros(len(ids), *frame.shape[1:])
        probs[[ids.index(i) for i in present]] = self._probabilities(
            frame, [background, *(kept[i].colour for i in present)]
        )
        for object_id, mask in given.items():
            probs[:, mask] = 0.0
            probs[ids.index(object_id)] = mask.float()
        presence = torch.tensor([float(i not in absent) for i in ids])
        masks = ObjectMasks(ids, probs, presence)
        generator = torch.Generator()
        generator.set_state(state.random)
        jitter = 1e-4 * torch.rand(1, generator=generator)
        found = masks.label_map()
        objects = tuple(self._updated(kept[i], frame, found == i, jitter) for i in ids)
        return ColourState(objects, background, generator.get_state()), masks

    def remove_objects(self, state: ColourState, ids: Collection[int]) -> ColourState:
        return replace(state, objects=tuple(o for o in state.objects if o.object_id not in ids))

    def _probabilities(self, frame, colours):
        distances = torch.stack(
            [(frame - colour[:, None, None]).square().sum(0) for colour in colours]
        )
        return torch.softmax(self.colour_bias - self.config.sharpness * distances, dim=0)[1:]

    def _updated(self, tracked, frame, mask, jitter):
        if not mask.any():
            return tracked
        new = frame[:, mask].mean(dim=1) + jitter
        colour = torch.lerp(tracked.colour, new, self.config.update_rate)
        return replace(tracked, colour=colour, past=(*tracked.past, mask)[-3:])


def build(config, tensors, *, device, dtype, progress):
    """Build the stand-in; its only weight is a bias, 0 where there are no weights."""
    bias = torch.zeros(()) if tensors is None else tensors["colour_bias"]
    return ColourTracker(config, bias)


METHOD = Method(
    title="Colours, a stand-in for tests",
    config=ColourConfig,
    build=build,
    tiny=ColourConfig,
    takes_boxes=lambda config: False,
)
