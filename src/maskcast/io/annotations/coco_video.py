"""Write COCO's JSON for videos, and that of YouTube-VIS. Masks are exact run lengths.

COCO for videos (as MMTracking and others read it) is COCO for pictures with a list of videos:
pictures have ``video_id`` and ``frame_id``, annotations have ``instance_id``. YouTube-VIS has one
annotation per object, with a list over all frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

from maskcast.core.arrays import LabelArray, MaskArray, Picture
from maskcast.core.boxes import tight_box
from maskcast.core.files import replacing
from maskcast.io.annotations.categories import Categories
from maskcast.io.annotations.masked_video import AnnotateFrame, MaskedVideo
from maskcast.io.label_maps import ids_in
from maskcast.io.rle import encode_mask

VIDEO_ID = 1


@contextmanager
def coco_video(path: Path, *, video: MaskedVideo) -> Iterator[AnnotateFrame]:
    """Write one annotation per object and frame, as frames are added in their order."""
    height, width = video.size
    images = [
        {
            "id": index + 1,
            "video_id": VIDEO_ID,
            "frame_id": video.first + index,
            "file_name": name,
            "height": height,
            "width": width,
        }
        for index, name in enumerate(video.pictures)
    ]
    head = {
        "info": {"description": video.name},
        "videos": [{"id": VIDEO_ID, "name": video.name, "height": height, "width": width}],
        "categories": _categories(video.categories),
        "images": images,
    }
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(json.dumps(head)[:-1] + ', "annotations": [')
        count = 0

        def add(frame_index: int, picture: Picture, label_map: LabelArray) -> None:
            nonlocal count
            for object_id in ids_in(label_map):
                count += 1
                annotation = {
                    "id": count,
                    "image_id": frame_index + 1,
                    "video_id": VIDEO_ID,
                    "instance_id": object_id,
                    "category_id": video.categories.index(object_id) + 1,
                    "iscrowd": 0,
                    "attributes": {"track_id": object_id},
                    **_described(label_map == object_id),
                }
                file.write(("\n" if count == 1 else ",\n") + json.dumps(annotation))

        yield add
        file.write("]}\n")


@contextmanager
def youtube_vis(path: Path, *, video: MaskedVideo) -> Iterator[AnnotateFrame]:
    """Write one annotation per object; it is null on frames without the object.

    The run lengths of all frames are in memory until the end.
    """
    height, width = video.size
    length = len(video.pictures)
    annotated: dict[int, list[dict[str, Any] | None]] = {
        object_id: [None] * length for object_id in video.categories.by_object
    }

    def add(frame_index: int, picture: Picture, label_map: LabelArray) -> None:
        for object_id in ids_in(label_map):
            annotated[object_id][frame_index] = _described(label_map == object_id)

    yield add
    sizes = {"height": height, "width": width, "length": length}
    annotations = [
        {
            "id": number,
            "video_id": VIDEO_ID,
            "instance_id": object_id,
            "category_id": video.categories.index(object_id) + 1,
            "iscrowd": 0,
            **sizes,
            "segmentations": [one and one["segmentation"] for one in frames],
            "bboxes": [one and one["bbox"] for one in frames],
            "areas": [one and one["area"] for one in frames],
        }
        for number, (object_id, frames) in enumerate(annotated.items(), 1)
    ]
    tree = {
        "info": {"description": video.name},
        "videos": [{"id": VIDEO_ID, "file_names": list(video.pictures), **sizes}],
        "categories": _categories(video.categories),
        "annotations": annotations,
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(tree) + "\n", encoding="utf-8")


def _described(mask: MaskArray) -> dict[str, Any]:
    box = tight_box(mask)
    assert box is not None
    return {"segmentation": encode_mask(mask), "bbox": list(astuple(box)), "area": int(mask.sum())}


def _categories(categories: Categories) -> list[dict[str, Any]]:
    return [
        {"id": number, "name": name, "supercategory": ""}
        for number, name in enumerate(categories.names, 1)
    ]
