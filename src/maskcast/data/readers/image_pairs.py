"""Folders of pictures with masks: each picture is a video of one frame.

``<folder>/images/*`` and ``<folder>/masks/*.png`` with the same names, or ``JPEGImages`` and
``SegmentationObject`` as in PASCAL VOC. Masks hold 0 for background, ids from 1, and 255 for void;
where they know only 0 and 255, they show one object.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from maskcast.core.errors import DataError
from maskcast.data.dataset import AnnotationFile, Dataset, Faults, Layout, Video
from maskcast.data.listing import (
    IMAGE_ENDINGS,
    MASK_ENDINGS,
    folder_of,
    list_pictures,
    mask_layout,
    picture_size,
)

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
