"""Write a data set for YOLO segmentation: pictures, and one line of a polygon per object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from maskcast.core.arrays import LabelArray, MaskArray, Picture
from maskcast.core.files import path_inside, write_text
from maskcast.io.annotations.masked_video import AnnotateFrame, MaskedVideo
from maskcast.io.annotations.outlines import TOLERANCE, joined, outlines
from maskcast.io.annotations.pictures import write_picture
from maskcast.io.label_maps import ids_in

DATA = "data.yaml"
"""Description of the data set; it is written last."""


@contextmanager
def yolo_folder(path: Path, *, video: MaskedVideo) -> Iterator[AnnotateFrame]:
    """Write ``images/NAME.jpg`` and ``labels/NAME.txt`` per frame, and ``data.yaml``.

    A line is the index of the category and the corners x, y, x, y, … in fractions of the width and
    height. Parts and holes of an object are joined into one polygon. Frames without objects have an
    empty file.
    """

    def add(frame_index: int, picture: Picture, label_map: LabelArray) -> None:
        name = Path(video.pictures[frame_index]).stem
        write_picture(path_inside(path / "images", name, ".jpg"), picture)
        lines = [
            f"{video.categories.index(object_id)} {_corners(label_map == object_id)}\n"
            for object_id in ids_in(label_map)
        ]
        write_text(path_inside(path / "labels", name, ".txt"), "".join(lines))

    yield add
    names = "".join(
        f"  {index}: {json.dumps(name, ensure_ascii=False)}\n"
        for index, name in enumerate(video.categories.names)
    )
    write_text(path / DATA, f"path: .\ntrain: images\nval: images\nnames:\n{names}")


def _corners(mask: MaskArray) -> str:
    height, width = mask.shape
    polygon = joined(outlines(mask, tolerance=TOLERANCE)) / np.array([width, height])
    return " ".join(f"{value:.6f}" for value in polygon.ravel().tolist())
