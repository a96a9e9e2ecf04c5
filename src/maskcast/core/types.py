"""The values that packages exchange, with their shapes in their types.

frame          3 × height × width         RGB, 0..1
mask           height × width             one object's region
probs          objects × height × width   soft masks; the background is what they leave
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from maskcast.core.errors import PromptError
from maskcast.core.marks import ABSENT, Absent, Box

__all__ = [
    "ABSENT",
    "NO_PROMPTS",
    "Absent",
    "Box",
    "Frame",
    "LabelMap",
    "Mask",
    "ObjectMasks",
    "Prompts",
    "masks_and_boxes",
]

Frame: TypeAlias = Float[Tensor, "3 height width"]
"""RGB, 0..1, on any device."""
Mask: TypeAlias = Bool[Tensor, "height width"]
"""One object's region."""
LabelMap: TypeAlias = Int64[Tensor, "height width"]
"""One object id per pixel; 0 is the background."""

Prompts: TypeAlias = Mapping[int, Mask | Box | Absent]
"""What a person said about one frame, by object id."""

NO_PROMPTS: Prompts = MappingProxyType({})


def masks_and_boxes(prompts: Prompts) -> Mapping[int, Mask | Box]:
    """Return the same prompts, typed for methods that do not know absence marks.

    Raises:
        PromptError: a prompt is ``ABSENT``.
    """
    shown: dict[int, Mask | Box] = {}
    for object_id, prompt in prompts.items():
        if isinstance(prompt, Absent):
            raise PromptError(
                f"object {object_id} is marked absent, which this version does not support; "
                "remove the mark"
            )
        shown[object_id] = prompt
    return shown


@dataclass(frozen=True)
class ObjectMasks:
    """Soft masks of the objects in one frame; the background is what they leave of each pixel."""

    ids: tuple[int, ...]
    """Any positive integers, as given."""
    probs: Float[Tensor, "objects height width"]
    """0..1; slot i belongs to ids[i]."""

    def label_map(self) -> LabelMap:
        """Paint object ids by the common rule: the arg-max over background and objects.

        A tie goes to the background, then to the lower slot.
        """
        # one comparison per object: torch's arg-max over the first axis takes twenty times as long
        best = 1 - self.probs.sum(dim=0)
        labels = torch.zeros(best.shape, dtype=torch.int64, device=best.device)
        for object_id, probs in zip(self.ids, self.probs, strict=True):
            labels.masked_fill_(probs > best, object_id)
            best = torch.maximum(best, probs)
        return labels
