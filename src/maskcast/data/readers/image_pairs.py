"""Read folders of pictures with masks; each picture is a video of one frame.

``<folder>/images/*`` and ``<folder>/masks/*.png`` with the same names, or ``JPEGImages`` and
``SegmentationObject`` as in PASCAL VOC. Masks have 0 for background, ids from 1, and 255 for void;
masks with only 0 and 255 show one object.
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
"""Maximum number of unreadable pictures in a folder."""

logger = logging.getLogger(__name__)


def read_image_pairs(root: Path) -> Dataset:
    """List the pictures of a folder that have a mask; others are left out.

    Raises:
        DatasetError: a folder is missing, a mask has no picture, more than ``BROKEN_LIMIT`` or half
            of the pictures are unreadable, all masks are, or no picture has a mask; the error lists
            all problems.
    """
    faults = Faults(f"the pairs of image and mask in {root}")
    images = folder_of(root, "images", "JPEGImages")
    masks = folder_of(root, "masks", "SegmentationObject")
    pictures = list_pictures(images, IMAGE_ENDINGS, faults)
    labels = list_pictures(masks, MASK_ENDINGS, faults)
    for name in sorted(labels.keys() - pictures.keys()):
        faults.add(f"{labels[name]} has no image of the same name in {images}")
    names = [name for name in pictures if name in labels]
    if not names and not faults.problems:
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
        DatasetError: the folder is missing, or more than ``BROKEN_LIMIT`` or half of the pictures
            are unreadable.
    """
    faults = Faults(f"the photographs in {folder}")
    pictures = list_pictures(folder, IMAGE_ENDINGS, faults)
    videos = _whole_pictures(
        [_one_frame_video(name, path) for name, path in pictures.items()], faults
    )
    faults.raise_if_any()
    return videos


def _whole_pictures(opened: Sequence[Video | None], faults: Faults) -> tuple[Video, ...]:
    """Leave out unreadable pictures; more than ``BROKEN_LIMIT`` or half of all are a problem."""
    videos = tuple(video for video in opened if video is not None)
    broken = len(opened) - len(videos)
    if broken > min(BROKEN_LIMIT, len(opened) / 2):
        faults.add(f"cannot open {broken} of {len(opened)} images, which the log lists")
    return videos


def _one_frame_video(
    name: str, picture: Path, label: Path | None = None, layout: Layout = "label_maps"
) -> Video | None:
    """Return a picture as a video; log a warning and return None if it is unreadable."""
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
