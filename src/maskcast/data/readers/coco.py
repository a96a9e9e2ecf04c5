"""Read COCO instances (Lin et al., ECCV 2014): pictures with polygons or run lengths.

    annotations/instances_train2014.json   train2014/COCO_train2014_000000000009.jpg

Instances that mark crowds are void in label maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import UInt8

from maskcast.core.arrays import Picture
from maskcast.core.errors import DataError, DatasetError, MissingFileError, PromptError
from maskcast.core.files import check_name
from maskcast.core.strict_json import read_json
from maskcast.core.types import Box
from maskcast.data.clips import BinaryMask
from maskcast.data.dataset import VOID
from maskcast.io.pictures import open_picture
from maskcast.io.prompts.outlines import segmentation_mask

LARGEST_ID = VOID - 1
LARGEST_FILE = 2**32
"""Maximum size of an annotation file in bytes."""


@dataclass(frozen=True)
class CocoInstance:
    """One annotated instance."""

    box: Box
    """Box in the annotation, in pixels."""
    outline: Any
    """Polygons or run lengths, as in the file."""
    is_crowd: bool
    """Whether the instance marks a crowd rather than a single object."""


@dataclass(frozen=True)
class CocoPicture:
    """A picture and its instances, with the interface of a video of one frame."""

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
        """Return a label map of all instances, with ids from 1 in the order of the file.

        Where instances overlap, the one with the smaller box is visible.
        """
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
        """Return the mask of an instance: 1 inside, 0 elsewhere.

        Raises:
            DatasetError: the outline is malformed.
        """
        try:
            return segmentation_mask(self.instances[index].outline, self.size).astype(np.uint8)
        except PromptError as error:
            raise DatasetError(f"{self.file}, instance {index}: {error}") from error


def read_coco(annotations: Path, images: Path) -> tuple[CocoPicture, ...]:
    """Read an annotation file; pictures without instances are left out.

    Args:
        annotations: the annotation file, such as ``annotations/instances_train2014.json``.
        images: folder with its pictures.

    Raises:
        MissingFileError: the file does not exist.
        DatasetError: the file has another format, or names pictures that are not in the folder.
    """
    if not annotations.is_file():
        raise MissingFileError(f"{annotations} does not exist")
    try:
        content = read_json(annotations, largest=LARGEST_FILE, non_finite=True)
        described = {entry["id"]: entry for entry in content["images"]}
        by_picture = _instances_by_picture(content["annotations"])
        names = {key: described[key]["file_name"] for key in by_picture}
        files = {key: _file_below(images, name, annotations) for key, name in names.items()}
        sizes = {key: (described[key]["height"], described[key]["width"]) for key in by_picture}
    except DataError as error:
        raise DatasetError(error.summary) from error
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
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


def _file_below(images: Path, name: str, annotations: Path) -> Path:
    """Return the path of a picture; raises ``DataError`` if its name leads out of the folder."""
    parts = PurePosixPath(name).parts
    for part in parts:
        try:
            check_name(part)
        except DataError as error:
            raise DataError(f"{annotations}: {error.summary}") from error
    return images.joinpath(*parts)


def _instances_by_picture(
    entries: Sequence[Mapping[str, Any]],
) -> dict[int, list[CocoInstance]]:
    """Group annotations by picture; those with an empty box are left out."""
    by_picture: dict[int, list[CocoInstance]] = {}
    for entry in entries:
        x, y, width, height = (float(number) for number in entry["bbox"])
        if width > 0 and height > 0:
            instance = CocoInstance(
                Box(x, y, width, height), entry["segmentation"], bool(entry.get("iscrowd", 0))
            )
            by_picture.setdefault(int(entry["image_id"]), []).append(instance)
    return by_picture
