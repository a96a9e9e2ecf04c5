"""The interface of training clips and their sources.

    frames   height × width × 3   uint8 RGB, any number, in temporal order
    masks    height × width       uint8: 1 object, 0 background, 255 void

A clip shows one object. A source draws one clip at a time from the generator that it is given, so
that a clip depends on the generator's seed alone. A method adapts to the first frame of a clip (the
train frame) and segments the others (the test frames).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Integer, UInt8

from maskcast.core.arrays import Picture
from maskcast.core.boxes import tight_box
from maskcast.core.errors import DatasetError
from maskcast.core.types import Box
from maskcast.data.dataset import VOID
from maskcast.data.visibility import LabelledVideo

BinaryMask: TypeAlias = UInt8[np.ndarray, "height width"]
AnyLabelArray: TypeAlias = Integer[np.ndarray, "height width"]


@runtime_checkable
class AnnotatedVideo(LabelledVideo, Protocol):
    """A video from which clips are drawn, such as a ``maskcast.data.dataset.Video``."""

    def read_frame(self, frame_index: int, /) -> Picture: ...


@dataclass(frozen=True)
class DrawnClip:
    """Frames and masks of one object, before augmentation."""

    name: str
    """Origin, for messages: data set, video, object, frames."""
    frames: tuple[Picture, ...]
    masks: tuple[BinaryMask, ...]
    """Masks by frame. The first one shows the object; the others may be empty."""
    boxes: tuple[Box, ...] | None = None
    """Annotated boxes by frame; None if they are the tight boxes of the masks."""
    others: tuple[AnyLabelArray, ...] | None = None
    """Ids of the other objects by frame, 0 elsewhere; None if they are unknown."""


@runtime_checkable
class ClipSource(Protocol):
    """A source of clips. It is picklable, because each data-loading worker has a copy."""

    @property
    def name(self) -> str: ...
    def __len__(self) -> int:
        """Return the number of targets: (video, object) pairs, or objects in single pictures."""
        ...

    def draw(self, generator: np.random.Generator, test_frames: int) -> DrawnClip:
        """Draw one train frame and ``test_frames`` more of one target."""
        ...


def object_mask(
    label_map: Integer[np.ndarray, "height width"],
    object_id: int | None,
    *,
    has_void: bool = True,
) -> BinaryMask:
    """Return the mask of an object (of all objects if None): 1 object, 0 background, 255 void."""
    mask = (label_map > 0 if object_id is None else label_map == object_id).astype(np.uint8)
    if has_void:
        mask[label_map == VOID] = VOID
    return mask


def object_box(mask: BinaryMask) -> Box:
    """Return the smallest box that covers the object of a training mask.

    Raises:
        DatasetError: the mask is empty.
    """
    box = tight_box(mask == 1)
    if box is None:
        raise DatasetError("a training mask is empty, so it has no box; remove its frame")
    return box
