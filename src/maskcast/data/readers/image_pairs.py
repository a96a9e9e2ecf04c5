"""Folders of pictures with masks: each picture is a video of one frame.

``<folder>/images/*`` and ``<folder>/masks/*.png`` with the same names, or ``JPEGImages`` and
``SegmentationObject`` as in PASCAL VOC. Masks hold 0 for background, ids from 1, and 255 for void;
where they know only 0 and 255, they show one object.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from maskcast.core.errors import DataError, DatasetError
from maskcast.core.types import Box
from maskcast.data.clips import AnnotatedVideo, object_box, object_mask
from maskcast.data.dataset import AnnotationFile, Dataset, Faults, Layout, Video
from maskcast.data.listing import (
    IMAGE_ENDINGS,
    MASK_ENDINGS,
    folder_of,
    list_pictures,
    mask_layout,
    picture_size,
)
from maskcast.data.made_up_stage import Cutout
from maskcast.data.visibility import count_pixels, readable_annotations
from maskcast.nn.resize import resize_picture

BROKEN_LIMIT = 100
"""Pictures of a folder that may be broken before the folder is refused."""

logger = logging.getLogger(__name__)


def read_image_pairs(root: Path) -> Dataset:
    """List the pictures of a folder that have a mask; a picture without one is left out.

    Raises:
        DatasetError: with every fault found: a folder is not there, a mask has no picture, many
            pictures cannot be opened (``_whole_pictures``), no mask can, no picture has one.
    """
    faults = Faults(f"the pairs of image and mask in {root}")
    images = folder_of(root, "images", "JPEGImages")
    masks = folder_of(root, "masks", "SegmentationObject")
    pictures = list_pictures(images, IMAGE_ENDINGS, faults)
    labels = list_pictures(masks, MASK_ENDINGS, faults)
    for name in sorted(labels.keys() - pictures.keys()):
        faults.add(f"{labels[name]} has no image of the same name in {images}")
    names = [name for name in pictures if name in labels]
    if not names and not faults.found:
        faults.add("no image has a mask of the same name")
    layout = mask_layout(masks, faults) or "label_maps"
    videos = _whole_pictures(
        [_one_frame_video(name, pictures[name], labels[name], layout) for name in names], faults
    )
    faults.raise_if_any()
    return Dataset("image-pairs", "train", root, videos)


def read_photographs(folder: Path) -> tuple[Video, ...]:
    """List the pictures of a folder as videos of one frame without annotation.

    Raises:
        DatasetError: the folder is not there, or many pictures cannot be opened.
    """
    faults = Faults(f"the photographs in {folder}")
    pictures = list_pictures(folder, IMAGE_ENDINGS, faults)
    videos = _whole_pictures(
        [_one_frame_video(name, path) for name, path in pictures.items()], faults
    )
    faults.raise_if_any()
    return videos


def _whole_pictures(found: Sequence[Video | None], faults: Faults) -> tuple[Video, ...]:
    """Leave out what could not be opened; a fault above ``BROKEN_LIMIT``, or above half of all."""
    videos = tuple(video for video in found if video is not None)
    broken = len(found) - len(videos)
    if broken > min(BROKEN_LIMIT, len(found) / 2):
        faults.add(f"cannot open {broken} of {len(found)} images, which the log lists")
    return videos


def _one_frame_video(
    name: str, picture: Path, label: Path | None = None, layout: Layout = "label_maps"
) -> Video | None:
    """Return a picture as a video; None, with a warning, if it cannot be opened."""
    try:
        size = picture_size(picture)
    except DataError as error:
        logger.warning("skipped an image: %s", error)
        return None
    object_id = 1 if layout == "one_object" else None
    annotations = {} if label is None else {0: (AnnotationFile(label, object_id),)}
    return Video(
        name=name,
        frame_names=(name,),
        size=size,
        image_files={0: picture},
        annotation_files=annotations,
        layout=layout,
        has_void=layout == "label_maps",
    )


@dataclass(frozen=True)
class PictureObject:
    """One object of one picture."""

    picture: int
    object_id: int
    pixels: int
    share: float
    """Of the picture's area."""


def objects_of(pictures: Sequence[AnnotatedVideo], smallest: int = 10) -> list[PictureObject]:
    """List the objects with more than ``smallest`` pixels; reads every mask once.

    A mask that cannot be read is logged and left out.
    """
    found = []
    for place, picture in enumerate(pictures):
        for _, label_map in readable_annotations(picture):
            counts = count_pixels(label_map, has_void=picture.has_void)
            for object_id in np.flatnonzero(counts > smallest):
                if object_id != 0:
                    pixels = int(counts[object_id])
                    share = pixels / label_map.size
                    found.append(PictureObject(place, int(object_id), pixels, share))
    return found


class PairCutouts:
    """Objects cut out of pictures, to be pasted into made-up clips.

    Args:
        pictures: videos of one frame (``read_image_pairs``).
        share: least and most of its picture's area that an object covers.
        smallest: an object has more pixels than this.

    Raises:
        DatasetError: no object is of that size.
    """

    def __init__(
        self,
        pictures: Sequence[AnnotatedVideo],
        *,
        share: tuple[float, float] = (0.01, 0.6),
        smallest: int = 300,
    ) -> None:
        self.pictures = pictures
        self.objects = [
            found for found in objects_of(pictures, smallest) if share[0] <= found.share <= share[1]
        ]
        if not self.objects:
            raise DatasetError(
                f"no object to cut out: none has more than {smallest} pixels and covers "
                f"{share[0]:g} to {share[1]:g} of its image"
            )

    def draw_cutout(self, generator: np.random.Generator, resolution: int) -> Cutout:
        chosen = self.objects[generator.integers(len(self.objects))]
        picture = self.pictures[chosen.picture]
        label_map = picture.read_annotation(0)
        if label_map is None:
            raise DatasetError(f"the mask of {picture.name} no longer exists")
        mask = object_mask(label_map, chosen.object_id, has_void=picture.has_void) == 1
        cutout = cut_out(picture.read_frame(0), mask, resolution)
        if generator.uniform() < 0.5:
            return Cutout(cutout.image.flip(2), cutout.alpha.flip(1))
        return cutout


def cut_out(frame: np.ndarray, mask: np.ndarray, resolution: int | None = None) -> Cutout:
    """Cut an object out along its mask, with an edge that is soft over about a pixel.

    Args:
        resolution: longer side of the result; not resized if None.
    """
    box = _padded(object_box(mask.astype(np.uint8)), mask.shape)
    top, bottom, left, right = box
    picture = torch.from_numpy(np.array(frame[top:bottom, left:right])).permute(2, 0, 1)
    alpha = torch.from_numpy(mask[top:bottom, left:right].astype(np.float32))
    image = picture.float() / 255
    if resolution is not None:
        scale = resolution / max(alpha.shape)
        size = (max(8, round(alpha.shape[0] * scale)), max(8, round(alpha.shape[1] * scale)))
        image = resize_picture(image, size)
        alpha = resize_picture(alpha.unsqueeze(0), size)[0]
    return Cutout(image, _softened(alpha))


def _padded(box: Box, size: tuple[int, ...]) -> tuple[int, int, int, int]:
    margin = 2
    return (
        max(0, int(box.y) - margin),
        min(size[0], int(box.y + box.height) + margin),
        max(0, int(box.x) - margin),
        min(size[1], int(box.x + box.width) + margin),
    )


def _softened(alpha: Float[Tensor, "height width"]) -> Float[Tensor, "height width"]:
    """Soften the edge inwards, so that no rim of the old background is carried along."""
    mean = functional.avg_pool2d(alpha[None, None], 3, stride=1, padding=1, count_include_pad=False)
    soft = torch.minimum(((mean[0, 0] - 0.4) / 0.5).clamp_(0, 1), alpha)
    soft[0], soft[-1], soft[:, 0], soft[:, -1] = 0, 0, 0, 0
    return soft


class PhotoScenes:
    """Photographs as backgrounds: a random part of a random picture, perhaps mirrored.

    Raises:
        DatasetError: there are no photographs.
    """

    def __init__(self, photographs: Iterable[AnnotatedVideo]) -> None:
        self.photographs = tuple(photographs)
        if not self.photographs:
            raise DatasetError("no photographs for backgrounds")

    def draw_scene(
        self, generator: np.random.Generator, size: tuple[int, int]
    ) -> Float[Tensor, "3 height width"]:
        photograph = self.photographs[generator.integers(len(self.photographs))].read_frame(0)
        aspect = size[1] / size[0]
        height, width = photograph.shape[:2]
        largest = min(height, width / aspect)
        part_height = int(largest * generator.uniform(0.7, 1))
        part_width = int(part_height * aspect)
        top = int(generator.integers(0, height - part_height + 1))
        left = int(generator.integers(0, width - part_width + 1))
        part = photograph[top : top + part_height, left : left + part_width]
        if generator.uniform() < 0.5:
            part = part[:, ::-1]
        picture = torch.from_numpy(np.array(part)).permute(2, 0, 1).float() / 255
        return resize_picture(picture, size)
