"""Boxes for methods that start from masks only: ``lwl-small`` converts a box into a mask."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any, Generic, TypeVar

from maskcast.core.segmenter import VideoSegmenter
from maskcast.core.types import (
    NO_PROMPTS,
    Absent,
    Box,
    Frame,
    Mask,
    ObjectMasks,
    Prompts,
    masks_and_boxes,
)

State = TypeVar("State")

logger = logging.getLogger(__name__)


class BoxStart(Generic[State]):
    """A segmenter that accepts boxes by converting them into masks with another segmenter.

    Its states are those of the wrapped segmenter.
    """

    def __init__(
        self, method: VideoSegmenter[State], build_boxer: Callable[[], VideoSegmenter[Any]]
    ) -> None:
        """Wrap ``method``; ``build_boxer``, called at the first box, builds the other segmenter."""
        self.method = method
        self._build_boxer = build_boxer

    @cached_property
    def _boxer(self) -> VideoSegmenter[Any]:
        return self._build_boxer()

    def start(self) -> State:
        """Return the state of the wrapped method before any frame."""
        return self.method.start()

    def step(
        self, state: State, frame: Frame, prompts: Prompts = NO_PROMPTS
    ) -> tuple[State, ObjectMasks]:
        """Convert boxes into masks, then segment the next frame."""
        if any(isinstance(prompt, Box) for prompt in prompts.values()):
            prompts = self._masks_instead(frame, prompts)
        return self.method.step(state, frame, prompts)

    def remove_objects(self, state: State, ids: Collection[int]) -> State:
        """Stop tracking these objects."""
        return self.method.remove_objects(state, ids)

    def _masks_instead(self, frame: Frame, prompts: Prompts) -> Prompts:
        absences = {i: prompt for i, prompt in prompts.items() if isinstance(prompt, Absent)}
        shown = {i: prompt for i, prompt in prompts.items() if i not in absences}
        _, drawn = self._boxer.step(self._boxer.start(), frame, shown)
        label_map = drawn.label_map().to(frame.device)
        masks: dict[int, Mask | Box | Absent] = {**absences}
        for object_id, prompt in masks_and_boxes(shown).items():
            mask = label_map == object_id if isinstance(prompt, Box) else prompt
            if isinstance(prompt, Box) and not mask.any():
                logger.warning(
                    "found no object in the box of object %d; using the whole box as its mask",
                    object_id,
                )
                mask = _filled(prompt, label_map == 0)
            masks[object_id] = mask
        return masks


def _filled(box: Box, free: Mask) -> Mask:
    """Return the free pixels of a box, or its centre if there are none."""
    height, width = free.shape
    top, left = _inside(box.y, height), _inside(box.x, width)
    bottom, right = _inside(box.y + box.height, height), _inside(box.x + box.width, width)
    mask = free.new_zeros(free.shape)
    mask[top : bottom + 1, left : right + 1] = free[top : bottom + 1, left : right + 1]
    if not mask.any():
        mask[(top + bottom) // 2, (left + right) // 2] = True
    return mask


def _inside(coordinate: float, length: int) -> int:
    return min(max(int(coordinate), 0), length - 1)
