"""Pictures laid out as PASCAL VOC (Everingham et al.): each is a video of one frame.

    JPEGImages/<name>.jpg   SegmentationObject/<name>.png   ImageSets/Segmentation/<split>.txt

Masks are indexed: 0 background, objects from 1, 255 void along their outlines.
"""

from __future__ import annotations

from pathlib import Path

from maskcast.data.dataset import Dataset, Faults
from maskcast.data.image_pairs import one_frame_video, whole_pictures
from maskcast.data.listing import IMAGE_ENDINGS, MASK_ENDINGS, list_pictures, read_names


def read_voc(
    root: Path, *, split: str | None = "trainval", masks: str = "SegmentationObject"
) -> Dataset:
    """List the pictures of a split that have a mask.

    Args:
        root: the folder with ``JPEGImages``, such as ``VOCdevkit/VOC2012``.
        split: a list in ``ImageSets/Segmentation``; None takes every picture with a mask.
        masks: a folder of instance masks (SBD's and others' are laid out alike).

    Raises:
        DatasetError: with every fault found: a folder or list is not there, a name of the list has
            no picture or no mask, many pictures cannot be opened.
    """
    faults = Faults(f"the VOC pictures in {root}")
    pictures = list_pictures(root / "JPEGImages", IMAGE_ENDINGS, faults)
    labels = list_pictures(root / masks, MASK_ENDINGS, faults)
    if split is None:
        names = [name for name in pictures if name in labels]
    else:
        names = read_names(root / "ImageSets" / "Segmentation" / f"{split}.txt", faults)
        for name in names:
            if name not in pictures or name not in labels:
                what = "picture" if name not in pictures else "mask"
                faults.add(f"{name} of the list {split} has no {what}")
    faults.raise_if_any()
    videos = whole_pictures(
        [one_frame_video(name, pictures[name], labels[name]) for name in names], faults
    )
    faults.raise_if_any()
    return Dataset("voc", split or "all", root, videos)
