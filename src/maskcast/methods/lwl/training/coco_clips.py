"""Make training clips from COCO instances, by repeating one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maskcast.core.errors import DatasetError
from maskcast.data.clips import DrawnClip
from maskcast.data.readers.coco import CocoPicture


class CocoClips:
    """A source of clips of single instances: each frame of a clip is the same picture.

    Args:
        name: name in messages.
        pictures: the pictures.
        smallest_object: area in pixels that the box of an instance must exceed.

    Raises:
        DatasetError: no instance is large enough.
    """

    def __init__(
        self, name: str, pictures: Sequence[CocoPicture], *, smallest_object: int = 10
    ) -> None:
        self.name = name
        self.pictures = pictures
        self.targets = [
            (index, slot)
            for index, picture in enumerate(pictures)
            for slot, instance in enumerate(picture.instances)
            if not instance.is_crowd and instance.box.width * instance.box.height > smallest_object
        ]
        if not self.targets:
            raise DatasetError(f"{name} contains no instance that is large enough and not a crowd")

    def __len__(self) -> int:
        return len(self.targets)

    def draw(self, generator: np.random.Generator, test_frames: int) -> DrawnClip:
        index, slot = self.targets[int(generator.integers(len(self.targets)))]
        picture = self.pictures[index]
        count = 1 + test_frames
        return DrawnClip(
            f"{self.name}/{picture.name}, instance {slot}",
            (picture.read_frame(),) * count,
            (picture.mask_of(slot),) * count,
            (picture.instances[slot].box,) * count,
        )
