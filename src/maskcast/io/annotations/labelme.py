"""Write a folder for labelme: a picture and a JSON file with polygons for every frame."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from maskcast.core.arrays import LabelArray, MaskArray, Picture
from maskcast.core.files import path_inside, write_text
from maskcast.io.annotations.masked_video import AnnotateFrame, MaskedVideo
from maskcast.io.annotations.outlines import TOLERANCE, Polygon, joined, outlines, signed_area
from maskcast.io.annotations.pictures import write_picture
from maskcast.io.label_maps import ids_in

LABELS = "labels.txt"
"""Names of the categories, for ``labelme --labels``; it is written last."""
VERSION = "5.5.0"
"""Version of labelme whose format this is."""


@contextmanager
def labelme_folder(path: Path, *, video: MaskedVideo) -> Iterator[AnnotateFrame]:
    """Write ``NAME.jpg`` and ``NAME.json`` per frame; ``group_id`` is the object id.

    Parts of an object are polygons of one group. The parts of an object with holes are joined into
    one polygon.
    """
    height, width = video.size

    def add(frame_index: int, picture: Picture, label_map: LabelArray) -> None:
        name = Path(video.pictures[frame_index]).stem
        image = path_inside(path, name, ".jpg")
        write_picture(image, picture)
        shapes = [
            _shape(polygon, video.categories.by_object[object_id], object_id)
            for object_id in ids_in(label_map)
            for polygon in _parts(label_map == object_id)
        ]
        tree: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": image.name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        write_text(path_inside(path, name, ".json"), json.dumps(tree, ensure_ascii=False) + "\n")

    yield add
    write_text(path / LABELS, "".join(f"{name}\n" for name in video.categories.names))


def _parts(mask: MaskArray) -> list[Polygon]:
    polygons = outlines(mask, tolerance=TOLERANCE)
    has_holes = any(signed_area(polygon) < 0 for polygon in polygons)
    return [joined(polygons)] if has_holes else polygons


def _shape(polygon: Polygon, label: str, group: int) -> dict[str, Any]:
    return {
        "label": label,
        "points": polygon.tolist(),
        "group_id": group,
        "description": "",
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
    }
