"""Begin objects at the boxes of a detector that match no object that is tracked.

On every frame with boxes, these are matched with the masks of the tracked objects by the overlap
(intersection over union) with the boxes around them. A box that is left over begins a new object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from maskcast.core.boxes import tight_box
from maskcast.core.marks import Box
from maskcast.core.types import ObjectMasks, Prompts
from maskcast.runs.folder import RunFolder
from maskcast.runs.frame_log import FrameLog
from maskcast.runs.layout import FRAME_LOG

FIRST_ID = 101
"""Id of the first object that begins by itself; later ones count on."""
SAME_OBJECT = 0.3
"""Smallest overlap of a box with that of an object, for which they are matched."""
DUPLICATE = 0.5
"""Overlap with another box, or share inside masks, above which a box begins no object."""


class NewObjects:
    """Decides which boxes begin new objects, in the order of the frames."""

    def __init__(self, boxes: Mapping[int, Sequence[Box]], run: RunFolder) -> None:
        """Take the boxes of a detector by frame index, the surest first, and the run folder."""
        self._boxes = boxes
        self._begun = begun_by_themselves(run.path)
        self._last: int | None = None

    def __call__(self, frame_index: int, masks: ObjectMasks) -> Prompts:
        """Return the boxes that begin objects on a frame, by new object id.

        Args:
            frame_index: index of the frame.
            masks: the tracked objects on it.
        """
        if self._last is None:
            earlier = [ids for frame, ids in self._begun.items() if frame < frame_index]
            self._last = max([FIRST_ID - 1, *(i for ids in earlier for i in ids)])
        self._last = max([self._last, *masks.ids])
        boxes = self._boxes.get(frame_index, ())
        label_map = masks.label_map().cpu().numpy() if boxes else np.zeros((0, 0), dtype=np.int64)
        begun: dict[int, Box] = {}
        for box in left_over(boxes, label_map):
            self._last += 1
            begun[self._last] = box
        return begun


def begun_by_themselves(folder: Path) -> dict[int, set[int]]:
    """Return the ids of the objects in the log of a run that began by themselves, by frame."""
    begun: dict[int, set[int]] = {}
    seen: set[int] = set()
    for frame_index, entry in sorted(FrameLog(folder / FRAME_LOG).by_frame().items()):
        new = {object_id for object_id in entry.objects if object_id >= FIRST_ID} - seen
        seen |= new
        if new:
            begun[frame_index] = new
    return begun


def left_over(boxes: Sequence[Box], label_map: np.ndarray) -> list[Box]:
    """Return the boxes that show no object of a label map; of similar ones, the first.

    Every object is matched with at most one box, the pairs with most overlap first.
    """
    ids = sorted(set(np.unique(label_map).tolist()) - {0})
    around = [box for i in ids if (box := tight_box(label_map == i)) is not None]
    pairs = sorted(
        ((overlap(box, one), b, o) for b, box in enumerate(boxes) for o, one in enumerate(around)),
        reverse=True,
    )
    matched: set[int] = set()
    taken: set[int] = set()
    for share, box_index, object_index in pairs:
        if share >= SAME_OBJECT and box_index not in matched and object_index not in taken:
            matched.add(box_index)
            taken.add(object_index)
    kept: list[Box] = []
    for box_index, box in enumerate(boxes):
        others = [*around, *kept]
        if box_index in matched or any(overlap(box, one) > DUPLICATE for one in others):
            continue
        if _share_inside(box, label_map) <= DUPLICATE:
            kept.append(box)
    return kept


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes, 0..1."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (one.width * one.height + other.width * other.height - shared)


def _share_inside(box: Box, label_map: np.ndarray) -> float:
    """Return the share of the pixels of a box that belong to objects."""
    top, left = int(box.y), int(box.x)
    part = label_map[top : int(box.y + box.height) + 1, left : int(box.x + box.width) + 1]
    return float((part != 0).mean()) if part.size else 0.0
