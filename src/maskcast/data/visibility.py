"""Count the pixels of each object on each annotated frame, to find where objects are visible.

Counting reads every annotation, which takes minutes for thousands of videos; the result can be
cached in a folder.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, Integer
from numpy.typing import NDArray

from maskcast.core.errors import DataError
from maskcast.core.files import write_text
from maskcast.core.strict_json import read_json
from maskcast.data.dataset import VOID

logger = logging.getLogger(__name__)


@runtime_checkable
class LabelledVideo(Protocol):
    """A video whose pixels can be counted."""

    @property
    def name(self) -> str: ...
    @property
    def frame_names(self) -> Sequence[str]: ...
    @property
    def has_void(self) -> bool:
        """Whether 255 is void rather than an object."""
        ...

    def read_annotation(self, frame_index: int, /) -> Integer[np.ndarray, "height width"] | None:
        """Return the label map of a frame; None if there is none."""
        ...


@dataclass(frozen=True)
class PixelCounts:
    """Number of pixels of each object of a video on each annotated frame."""

    frames: tuple[int, ...]
    """Indices of the annotated frames."""
    by_object: dict[int, Int64[np.ndarray, " frames"]]
    """Pixel counts by object id, of objects that have pixels on some frame; void is left out."""


def count_pixels(
    label_map: Integer[np.ndarray, "height width"], *, has_void: bool = True, merged: bool = False
) -> NDArray[np.int64]:
    """Return the number of pixels of each id, 0 for void; ``merged`` counts all objects as id 1."""
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
        videos: the videos.
        merged: whether all objects of a video count as one, with id 1.
        keep_in: folder that caches the result; created if missing. The cache depends only on the
            names of videos and frames, so delete it after changing masks in place. Nothing is
            cached while annotations are unreadable, so that repaired ones are noticed.

    Raises:
        OutputError: the folder is not writable.
    """
    path = None
    if keep_in is not None:
        path = keep_in / f"visible-{fingerprint_of(videos, merged=merged)}.json"
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # none, or damaged
            return [_from_json(entry) for entry in read_json(path)]
    broken: list[str] = []
    counted = [_count(video, merged, broken) for video in videos]
    if path is not None and not broken:
        write_text(path, json.dumps([_to_json(counts) for counts in counted]))
    return counted


@dataclass(frozen=True)
class Absences:
    """The absences of an object after it was first visible."""

    frames: int
    """Number of annotated frames without a pixel of the object."""
    returns: int
    """Number of times that the object becomes visible again after such frames."""


def count_absences(pixels: Int64[np.ndarray, " frames"], *, visible_from: float) -> Absences:
    """Count the absences of an object.

    Args:
        pixels: number of pixels of the object on each frame.
        visible_from: number of pixels from which the object is visible; frames with fewer pixels
            neither start nor end an absence.
    """
    visible = np.flatnonzero(pixels >= visible_from)
    if len(visible) == 0:
        return Absences(0, 0)
    absent = np.flatnonzero(pixels[visible[0] :] == 0) + visible[0]
    between = np.searchsorted(absent, visible)
    return Absences(len(absent), int((np.diff(between) > 0).sum()))


def readable_annotations(
    video: LabelledVideo, broken: list[str] | None = None
) -> Iterator[tuple[int, Integer[np.ndarray, "height width"]]]:
    """Yield the annotated frames of a video; unreadable ones are logged and skipped.

    Args:
        video: the video.
        broken: list to which the reason for each skipped frame is appended.

    Yields:
        frame index and label map.
    """
    for frame_index in range(len(video.frame_names)):
        try:
            label_map = video.read_annotation(frame_index)
        except (DataError, OSError) as error:
            logger.warning("skipped a mask of %s: %s", video.name, error)
            if broken is not None:
                broken.append(str(error))
            continue
        if label_map is not None:
            yield frame_index, label_map


def fingerprint_of(videos: Sequence[LabelledVideo], **settings: object) -> str:
    """Return a hash (16 hexadecimal digits) of the names of videos and frames, and of settings."""
    described = [[video.name, list(video.frame_names), video.has_void] for video in videos]
    text = json.dumps([described, settings] if settings else described)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _count(video: LabelledVideo, merged: bool, broken: list[str]) -> PixelCounts:
    rows = {
        frame_index: count_pixels(label_map, has_void=video.has_void, merged=merged)
        for frame_index, label_map in readable_annotations(video, broken)
    }
    table = np.zeros((len(rows), max(map(len, rows.values()), default=0)), dtype=np.int64)
    for line, row in zip(table, rows.values(), strict=True):
        line[: len(row)] = row
    present = [int(i) for i in np.flatnonzero(table.any(axis=0)) if i != 0]
    return PixelCounts(tuple(rows), {i: table[:, i] for i in present})


def _to_json(counts: PixelCounts) -> dict[str, Any]:
    by_object = {str(i): row.tolist() for i, row in counts.by_object.items()}
    return {"frames": counts.frames, "by_object": by_object}


def _from_json(entry: dict[str, Any]) -> PixelCounts:
    by_object = {int(i): np.array(row, dtype=np.int64) for i, row in entry["by_object"].items()}
    return PixelCounts(tuple(entry["frames"]), by_object)
