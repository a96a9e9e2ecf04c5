"""The values that packages exchange, with their shapes in their types.

frame          3 × height × width         RGB, 0..1
mask           height × width             one object's region
probs          objects × height × width   soft masks; the background is what they leave
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from maskcast.core.arrays import Picture
from maskcast.core.errors import PromptError, UsageError
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
    "only_masks",
    "split_prompts",
    "to_frame",
]

Frame: TypeAlias = Float[Tensor, "3 height width"]
"""RGB, 0..1, on any device."""
Mask: TypeAlias = Bool[Tensor, "height width"]
"""One object's region."""
LabelMap: TypeAlias = Int64[Tensor, "height width"]
"""One object id per pixel; 0 is the background."""

Prompts: TypeAlias = Mapping[int, Mask | Box | Absent]
"""The user's marks on one frame, by object id."""

NO_PROMPTS: Prompts = MappingProxyType({})


def to_frame(picture: Picture) -> Frame:
    """Return an 8-bit picture as a frame in memory of its own."""
    pixels = torch.from_numpy(np.require(picture, requirements=["C", "W"]))
    return pixels.permute(2, 0, 1).contiguous().float().div_(255)


def masks_and_boxes(prompts: Prompts) -> Mapping[int, Mask | Box]:
    """Return the same prompts, typed for methods that do not support absence marks.

    Raises:
        PromptError: a prompt is ``ABSENT``.
    """
    shown: dict[int, Mask | Box] = {}
    for object_id, prompt in prompts.items():
        if isinstance(prompt, Absent):
            raise PromptError(
                f"object {object_id} is marked absent, which this method does not support; "
                "remove the mark"
            )
        shown[object_id] = prompt
    return shown


def split_prompts(
    prompts: Prompts, known: Collection[int]
) -> tuple[dict[int, Mask | Box], frozenset[int]]:
    """Split prompts into masks and boxes by object id, and the ids of absent objects.

    Args:
        prompts: prompts of one frame.
        known: ids of the objects that are already tracked.

    Raises:
        PromptError: an object is marked absent before its first mask or box.
    """
    absent = frozenset(i for i, prompt in prompts.items() if isinstance(prompt, Absent))
    if unknown := absent - set(known):
        raise PromptError(
            f"object {min(unknown)} is marked absent before its first mask; mark the object on an "
            "earlier frame, or remove the mark"
        )
    shown = {i: prompt for i, prompt in prompts.items() if not isinstance(prompt, Absent)}
    return shown, absent


def only_masks(
    shown: Mapping[int, Mask | Box], *, method: str, device: torch.device
) -> dict[int, Mask]:
    """Return the masks on a device, by object id, for methods that do not start from boxes.

    Raises:
        PromptError: an object has a box.
    """
    masks: dict[int, Mask] = {}
    for object_id, prompt in sorted(shown.items()):
        if isinstance(prompt, Box):
            raise PromptError(
                f"{method} starts from masks, but object {object_id} has a box; build the method "
                "with maskcast.methods.spec.build, which converts boxes to masks"
            )
        masks[object_id] = prompt.to(device)
    return masks


@dataclass(frozen=True)
class ObjectMasks:
    """Soft masks of the objects in one frame; the rest of each pixel is background."""

    ids: tuple[int, ...]
    """Object ids: any positive integers, as given in the prompts."""
    probs: Float[Tensor, "objects height width"]
    """Probability of each object at each pixel, 0..1; slot i belongs to ids[i]. All 0 for an object
    that is not on the frame."""
    presence: Float[Tensor, "objects"] | None = None
    """Probability that each object is visible, 0..1: 1 for a given mask, 0 for ``ABSENT``. Objects
    below 0.5 have an empty mask. None if the method does not predict it."""

    def only(self, ids: Collection[int]) -> ObjectMasks:
        """Return the masks of these objects only; other ids are skipped."""
        chosen = [object_id in ids for object_id in self.ids]
        kept = torch.tensor(chosen, dtype=torch.bool, device=self.probs.device)
        presence = None if self.presence is None else self.presence[kept]
        return ObjectMasks(tuple(i for i in self.ids if i in ids), self.probs[kept], presence)

    def mask(self, object_id: int) -> Mask:
        """Return the pixels of an object: those that ``label_map`` gives its id.

        Raises:
            UsageError: the object is not among ``ids``.
        """
        if object_id not in self.ids:
            known = ", ".join(map(str, self.ids)) or "none"
            raise UsageError(f"there is no object {object_id} in these masks; ids: {known}")
        return self.label_map() == object_id

    def label_map(self) -> LabelMap:
        """Return the id of the most probable object at each pixel, or 0 for the background.

        In a tie the background wins, then the lower slot.
        """
        # one comparison per object: torch's arg-max over the first axis takes twenty times as long
        best = 1 - self.probs.sum(dim=0)
        labels = torch.zeros(best.shape, dtype=torch.int64, device=best.device)
        for object_id, probs in zip(self.ids, self.probs, strict=True):
            labels.masked_fill_(probs > best, object_id)
            best = torch.maximum(best, probs)
        return labels
