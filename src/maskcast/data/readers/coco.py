"""COCO instances (Lin et al., ECCV 2014): pictures with polygons or run lengths.

    annotations/instances_train2014.json   train2014/COCO_train2014_000000000009.jpg

Instances that stand for crowds are left out; painted into a label map they are void.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from maskcast.core.arrays import Picture
from maskcast.core.errors import DatasetError, MissingFileError, PromptError
from maskcast.core.types import Box
from maskcast.data.clips import BinaryMask
from maskcast.data.dataset import VOID
from maskcast.io.pictures import open_picture
from maskcast.io.prompts.mask_json import segmentation_mask

LARGEST_ID = VOID - 1


@dataclass(frozen=True)
class CocoInstance:
    """One instance as it is annotated."""

    box: Box
    """The annotation's own box, in pixels."""
    outline: Any
    """Polygons, or run lengths, as in the file."""
    is_crowd: bool


@dataclass(frozen=True)
class CocoPicture:
    """A picture and its instances; also a video of one frame."""

    file: Path
    size: tuple[int, int]
    instances: tuple[CocoInstance, ...]
    has_void: bool = True

    @property
    def name(self) -> str:
        return self.file.stem

    @property
    def frame_names(self) -> tuple[str, ...]:
        return (self.name,)

    def read_frame(self, frame_index: int = 0, /) -> Picture:
        frame = np.asarray(open_picture(self.file).convert("RGB"))
        if frame.shape[:2] != self.size:
            raise DatasetError(
                f"{self.file} is {frame.shape[0]}×{frame.shape[1]} but its annotation declares "
                f"{self.size[0]}×{self.size[1]}"
            )
        return frame

    def read_annotation(self, frame_index: int = 0, /) -> UInt8[np.ndarray, "height width"]:
        """Paint all instances: ids from 1 in the order of the file, the smaller over the larger."""
        label_map = np.zeros(self.size, dtype=np.uint8)
        order = sorted(
            range(min(len(self.instances), LARGEST_ID)),
            key=lambda index: -self.instances[index].box.width * self.instances[index].box.height,
        )
        for index in order:
            instance = self.instances[index]
            label_map[self.mask_of(index) == 1] = VOID if instance.is_crowd else index + 1
        return label_map

    def mask_of(self, index: int) -> BinaryMask:
        """Return 1 inside an instance, 0 elsewhere.

        Raises:
            DatasetError: its outline is malformed.
        """
        try:
            return segmentation_mask(self.instances[index].outline, self.size).astype(np.uint8)
        except PromptError as error:
            raise DatasetError(f"{self.file}, instance {index}: {error}") from error


def read_coco(annotations: Path, images: Path) -> tuple[CocoPicture, ...]:
    """Read an annotation file; pictures without an instance are left out.

    Args:
        annotations: such as ``annotations/instances_train2014.json``.
        images: folder of the pictures it names.

    Raises:
        MissingFileError: the file is not there.
        DatasetError: the file is something else, or names pictures that are not in the folder.
    """
    if not annotations.is_file():
        raise MissingFileError(f"{annotations} does not exist")
    try:
        content = json.loads(annotations.read_text())
        described = {entry["id"]: entry for entry in content["images"]}
        by_picture = _instances_by_picture(content["annotations"])
        files = {key: images / described[key]["file_name"] for key in by_picture}
        sizes = {key: (described[key]["height"], described[key]["width"]) for key in by_picture}
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"{annotations} is not a COCO instances file: {error!r}") from error
    missing = [path for path in files.values() if not path.is_file()]
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(files)} images are missing in {images}",
            details=[path.name for path in missing],
        )
    return tuple(
        CocoPicture(files[key], sizes[key], tuple(by_picture[key])) for key in sorted(by_picture)
    )


def _instances_by_picture(
    entries: Sequence[Mapping[str, Any]],
) -> dict[int, list[CocoInstance]]:
    """Group annotations by picture; boxes without an area are left out."""
    found: dict[int, list[CocoInstance]] = {}
    for entry in entries:
        x, y, width, height = (float(number) for number in entry["bbox"])
        if width > 0 and height > 0:
            instance = CocoInstance(
                Box(x, y, width, height), entry["segmentation"], bool(entry.get("iscrowd", 0))
            )
            found.setdefault(int(entry["image_id"]), []).append(instance)
    return found
