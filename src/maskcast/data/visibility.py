"""Where the objects of annotated videos can be seen: pixels by frame and object, counted once.

Counting reads every annotation, which takes minutes for a data set of thousands of videos; the
result can be kept in a folder and is found there the next time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, Integer
from numpy.typing import NDArray

from maskcast.data.dataset import VOID


@runtime_checkable
class LabelledVideo(Protocol):
    """What counting needs to know of a video."""

    @property
    def name(self) -> str: ...
    @property
    def frame_names(self) -> Sequence[str]: ...
    @property
    def has_void(self) -> bool:
        """Whether 255 is void rather than an object."""
        ...

    def read_annotation(self, frame_index: int, /) -> Integer[np.ndarray, "height width"] | None:
        """Return the label map of a frame, None where there is none."""
        ...


@dataclass(frozen=True)
class PixelCounts:
    """How many pixels each object of a video has on each annotated frame."""

    frames: tuple[int, ...]
    """The annotated frames."""
    by_object: dict[int, Int64[np.ndarray, " frames"]]
    """Only objects that have a pixel somewhere; void is none."""


def count_pixels(
    label_map: Integer[np.ndarray, "height width"], *, has_void: bool = True, merged: bool = False
) -> NDArray[np.int64]:
    """Return the pixels of each id, none for void; ``merged`` counts all objects as id 1."""
    counts: NDArray[np.int64] = np.bincount(label_map.ravel())
    if has_void and len(counts) > VOID:
        counts[VOID] = 0
    if merged:
        return np.array([counts[0], counts[1:].sum()], dtype=np.int64)
    return counts


def count_videos(
    videos: Sequence[LabelledVideo], *, merged: bool = False, keep_in: Path | None = None
) -> list[PixelCounts]:
    """Count the pixels of every object on every annotated frame.

    Args:
        merged: all objects of a video count as one, with id 1.
        keep_in: a folder for the result; made if it is not there. It is found again by the names of
            videos and frames: remove it after changing masks in place.
    """
    if keep_in is None:
        return [_count(video, merged) for video in videos]
    path = keep_in / f"visible-{fingerprint_of(videos, merged=merged)}.json"
    if path.is_file():
        return [_from_json(entry) for entry in json.loads(path.read_text())]
    found = [_count(video, merged) for video in videos]
    keep_in.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    unfinished.write_text(json.dumps([_to_json(counts) for counts in found]))
    unfinished.replace(path)
    return found


def fingerprint_of(videos: Sequence[LabelledVideo], **settings: object) -> str:
    """Return 16 hexadecimal digits that change with the names of videos and frames."""
    described = [[video.name, list(video.frame_names), video.has_void] for video in videos]
    text = json.dumps([described, settings] if settings else described)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _count(video: LabelledVideo, merged: bool) -> PixelCounts:
    rows: dict[int, NDArray[np.int64]] = {}
    for index in range(len(video.frame_names)):
        label_map = video.read_annotation(index)
        if label_map is not None:
            rows[index] = count_pixels(label_map, has_void=video.has_void, merged=merged)
    table = np.zeros((len(rows), max(map(len, rows.values()), default=0)), dtype=np.int64)
    for line, row in zip(table, rows.values(), strict=True):
        line[: len(row)] = row
    present = [int(each) for each in np.flatnonzero(table.any(axis=0)) if each != 0]
    return PixelCounts(tuple(rows), {each: table[:, each] for each in present})


def _to_json(counts: PixelCounts) -> dict[str, Any]:
    by_object = {str(each): row.tolist() for each, row in counts.by_object.items()}
    return {"frames": counts.frames, "by_object": by_object}


def _from_json(entry: dict[str, Any]) -> PixelCounts:
    by_object = {
        int(each): np.array(row, dtype=np.int64) for each, row in entry["by_object"].items()
    }
    return PixelCounts(tuple(entry["frames"]), by_object)
