"""Write the PNG masks of MOTS: the value of a pixel is 1000 × category + instance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from maskcast.core.arrays import LabelArray, Picture
from maskcast.core.errors import DataError
from maskcast.core.files import path_inside, replacing, write_text
from maskcast.io.annotations.masked_video import AnnotateFrame, MaskedVideo
from maskcast.io.label_maps import ids_in

LABELS = "labels.txt"
"""Names of the categories, the first one being category 1; it is written last."""
INSTANCES = 1000
"""Instances per category; 16 bits hold 64 categories."""


@contextmanager
def mots_folder(path: Path, *, video: MaskedVideo) -> Iterator[AnnotateFrame]:
    """Write ``instances/NAME.png`` per frame, in 16 bits; instances are object ids.

    Raises:
        DataError: an object id is 1000 or more, or there are more than 64 categories.
    """
    values = _values(video)
    folder = path / "instances"

    def add(frame_index: int, picture: Picture, label_map: LabelArray) -> None:
        coded = np.zeros(label_map.shape, dtype=np.uint16)
        for object_id in ids_in(label_map):
            coded[label_map == object_id] = values[object_id]
        name = Path(video.pictures[frame_index]).stem
        with replacing(path_inside(folder, name, ".png")) as temporary:
            Image.fromarray(coded).save(temporary)

    yield add
    names = "".join(f"{name}\n" for name in video.categories.names)
    write_text(folder / LABELS, names)


def _values(video: MaskedVideo) -> dict[int, int]:
    categories = video.categories
    values = {i: INSTANCES * (categories.index(i) + 1) + i for i in categories.by_object}
    largest = max(categories.by_object, default=0)
    if largest >= INSTANCES or max(values.values(), default=0) >= 2**16:
        raise DataError(
            f"MOTS masks hold ids below {INSTANCES} and 64 categories, got id {largest} and "
            f"{len(categories.names)} categories; choose another format",
            options=("annotations",),
        )
    return values
