"""Write masks as tables, among the exports or from a program: run lengths (JSON), tracks (CSV)."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import TextIO, TypeAlias

import numpy as np

from maskcast.core.arrays import LabelArray, Picture
from maskcast.core.boxes import tight_box
from maskcast.core.files import replacing
from maskcast.core.types import ObjectMasks
from maskcast.io.label_maps import ids_in
from maskcast.io.rle import encode_mask
from maskcast.runs.masks import FoundByFrame, FoundObject
from maskcast.runs.measuring import measure_objects

AddFrame: TypeAlias = Callable[[int, Picture, LabelArray], None]
"""Takes the index of a frame, its picture, and its label map."""
Maker: TypeAlias = Callable[[Path], AbstractContextManager[tuple[int, AddFrame]]]
"""Begins a file; yields the first frame that it lacks and a function that adds frames to it."""

COLUMNS = "frame,name,object_id,area,x,y,width,height,confidence,event,presence"
"""Columns of tracks.csv, which docs/runs.md explains."""
NOTHING = FoundObject(0, None)
"""An object that the log does not know."""


def write_rle(path: Path | str, masks: Iterable[ObjectMasks], *, video_id: str) -> None:
    """Write the masks of a video as ``maskcast segment --rle`` does: COCO run lengths, as JSON.

    Args:
        path: the file, which is written atomically.
        masks: those of each frame, from the first on, as ``segment_video`` yields them.
        video_id: name of the video, which every entry repeats.

    Raises:
        OutputError: the file cannot be written.
    """
    objects: dict[int, dict[int, FoundObject]] = {}
    with rle_table(Path(path), video_id=video_id, first=0, objects=objects) as (_, add):
        _add_all(masks, objects, add)


def write_tracks(path: Path | str, masks: Iterable[ObjectMasks], *, names: Sequence[str]) -> None:
    """Write area, box, confidence and event of each object and frame, as ``--tracks`` does.

    Args:
        path: the CSV file, which is written atomically.
        masks: those of each frame, from the first on, as ``segment_video`` yields them.
        names: names of the frames, such as ``frames.names``.

    Raises:
        OutputError: the file cannot be written.
    """
    objects: dict[int, dict[int, FoundObject]] = {}
    with tracks_table(Path(path), names=list(names), first=0, objects=objects) as (_, add):
        _add_all(masks, objects, add)


def _add_all(
    masks: Iterable[ObjectMasks], objects: dict[int, dict[int, FoundObject]], add: AddFrame
) -> None:
    for frame_index, in_frame in enumerate(masks):
        label_map = in_frame.label_map().cpu().numpy().astype(np.int32)
        objects[frame_index] = measure_objects(label_map, in_frame)
        no_picture = np.broadcast_to(np.uint8(0), (*label_map.shape, 3))  # tables show none
        add(frame_index, no_picture, label_map)


@contextmanager
def rle_table(
    path: Path, *, video_id: str, first: int, objects: FoundByFrame
) -> Iterator[tuple[int, AddFrame]]:
    """Write a list of entries, one per line; ``score`` is the mean confidence inside the mask.

    Frame numbers are those of the whole video; its first ``first`` frames were not segmented.
    """
    with _text_file(path) as file:
        separator = "[\n"

        def add(frame_index: int, picture: Picture, label_map: LabelArray) -> None:
            nonlocal separator
            for object_id in ids_in(label_map):
                logged = objects.get(frame_index, {}).get(object_id)
                entry = {
                    "video_id": video_id,
                    "frame": first + frame_index,
                    "object_id": object_id,
                    "segmentation": encode_mask(label_map == object_id),
                    "score": None if logged is None else logged.confidence,
                }
                file.write(separator + json.dumps(entry))
                separator = ",\n"

        yield 0, add
        file.write("[]\n" if separator == "[\n" else "\n]\n")


@contextmanager
def tracks_table(
    path: Path, *, names: list[str], first: int, objects: FoundByFrame
) -> Iterator[tuple[int, AddFrame]]:
    """Write one row per object and frame, from its first frame on; an empty mask has no box."""
    with _text_file(path) as file:
        file.write(COLUMNS + "\r\n")
        writer = csv.writer(file)
        visible: dict[int, bool] = {}

        def add(frame_index: int, picture: Picture, label_map: LabelArray) -> None:
            logged = objects.get(frame_index, {})
            present = set(ids_in(label_map))
            for object_id in sorted({*visible, *logged, *present}):
                mask = label_map == object_id
                box = tight_box(mask)
                sides = ("",) * 4 if box is None else tuple(int(side) for side in astuple(box))
                area = int(mask.sum())
                measured = logged.get(object_id, NOTHING)  # csv writes None as an empty field
                event = _event(visible.get(object_id), object_id in present)
                visible[object_id] = object_id in present
                frame = [first + frame_index, names[frame_index]]
                shown = [measured.confidence, event, measured.presence]
                writer.writerow([*frame, object_id, area, *sides, *shown])

        yield 0, add


@contextmanager
def _text_file(path: Path) -> Iterator[TextIO]:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        yield file


def _event(was_visible: bool | None, is_visible: bool) -> str:
    if was_visible is None:
        return "first"
    if was_visible == is_visible:
        return ""
    return "returned" if is_visible else "lost"
