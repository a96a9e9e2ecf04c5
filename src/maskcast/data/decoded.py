"""Cache decoded frames and label maps in one file that all data-loading workers share.

Decoding a picture takes longer than all further processing. The decoded file is memory-mapped, so
the system keeps at most one copy of it in memory for all processes.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from jaxtyping import Integer, UInt8

from maskcast.core.errors import DataError, DatasetError, OutputError
from maskcast.core.files import alone_in, write_text
from maskcast.core.strict_json import read_json
from maskcast.data.clips import AnnotatedVideo
from maskcast.data.visibility import fingerprint_of

COMMIT_BYTES = 2**28
"""Bytes that may have to be decoded again after an interruption."""

Row: TypeAlias = list[int | None] | None
"""Index entry of a frame: height, width, offset of the frame, offset of its label map (None if it
has none). The entry itself is None if the frame could not be decoded."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Location:
    """Offsets of a frame and its label map in the file, and their size."""

    height: int
    width: int
    frame: int
    """Offset of the frame in bytes."""
    label_map: int | None
    """Offset of the label map in bytes; None if there is none."""


@dataclass(frozen=True)
class DecodedVideo:
    """A video whose decoded frames are in a file, with the same interface as other videos."""

    name: str
    frame_names: tuple[str, ...]
    has_void: bool
    file: Path
    locations: tuple[_Location | None, ...]
    original: AnnotatedVideo
    """Video from which frames are read that could not be decoded, so that their errors are raised
    when they are drawn."""

    def read_frame(self, frame_index: int, /) -> UInt8[np.ndarray, "height width 3"]:
        location = self.locations[frame_index]
        if location is None:
            return self.original.read_frame(frame_index)
        length = 3 * location.height * location.width
        pixels = _mapped(self.file)[location.frame : location.frame + length]
        return pixels.reshape(location.height, location.width, 3)

    def read_annotation(self, frame_index: int, /) -> Integer[np.ndarray, "height width"] | None:
        location = self.locations[frame_index]
        if location is None:
            return self.original.read_annotation(frame_index)
        if location.label_map is None:
            return None
        pixels = _mapped(self.file)[
            location.label_map : location.label_map + location.height * location.width
        ]
        return pixels.reshape(location.height, location.width)


@lru_cache(maxsize=16)
def _mapped(file: Path) -> np.ndarray:
    """Return the file as a read-only array; pages are loaded as they are needed."""
    return np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))


def decode_videos(
    videos: Sequence[AnnotatedVideo], folder: Path, *, name: str
) -> tuple[DecodedVideo, ...]:
    """Decode videos into a file, unless an earlier call has, and return them as decoded videos.

    An interrupted call is continued by the next one. If several processes call this, one decodes
    and the others wait (on Windows, let one process decode before others start). Frames that are
    unreadable, or whose annotation is, are logged and later read from the original video.

    Args:
        videos: the videos to decode.
        folder: folder for ``<name>-<fingerprint>.raw`` and its index; created if missing. The
            fingerprint depends on the names of videos and frames, but not on their contents, so
            delete the files after changing pictures in place.
        name: first part of the file name.

    Raises:
        DatasetError: an object id is above 255.
        OutputError: the folder is not writable, or the disk is full.
    """
    file = folder / f"{name}-{fingerprint_of(videos)}.raw"
    index = file.with_suffix(".json")
    rows, _ = _committed(file, index)
    if len(rows) < len(videos):
        with alone_in(folder, wait=True):
            rows, _ = _committed(file, index)  # another process may have decoded in the meantime
            if len(rows) < len(videos):
                rows = _decode(videos, file, index)
    return tuple(
        DecodedVideo(
            video.name,
            tuple(video.frame_names),
            video.has_void,
            file,
            tuple(None if row is None else _Location(*row) for row in of_video),  # type: ignore[arg-type]
            video,
        )
        for video, of_video in zip(videos, rows, strict=True)
    )


def _decode(videos: Sequence[AnnotatedVideo], file: Path, index: Path) -> list[list[Row]]:
    """Decode the videos that an earlier call has not; rename the files when they are complete."""
    unfinished, journal = file.with_suffix(".part"), file.with_suffix(".part-index")
    rows, end = _committed(unfinished, journal)
    logger.info("decoding %d videos or images into %s", len(videos) - len(rows), file)
    try:
        with unfinished.open("r+b" if rows else "wb") as out:
            out.truncate(end)
            out.seek(end)
            for video in videos[len(rows) :]:
                rows.append([_append(video, i, out) for i in range(len(video.frame_names))])
                if out.tell() >= end + COMMIT_BYTES:
                    end = _commit(out, rows, journal)
            _commit(out, rows, journal)
        unfinished.replace(file)
        journal.replace(index)
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write {unfinished}: {error.strerror}") from error
    return rows


def _committed(file: Path, index: Path) -> tuple[list[list[Row]], int]:
    """Return the rows of the videos in a file, and their end in bytes.

    There are none if the file or its index is missing, damaged or truncated.
    """
    try:
        content = read_json(index)
        if file.stat().st_size >= content["end"]:
            return content["rows"], content["end"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return [], 0


def _commit(out: BinaryIO, rows: list[list[Row]], journal: Path) -> int:
    """Flush the written frames to the disk, record them in the journal, and return their end."""
    out.flush()
    os.fsync(out.fileno())
    write_text(journal, json.dumps({"end": out.tell(), "rows": rows}))
    return out.tell()


def _append(video: AnnotatedVideo, frame_index: int, out: BinaryIO) -> Row:
    """Write a frame and its label map, and return its row; None if one of them is unreadable."""
    try:
        frame, label_map = video.read_frame(frame_index), video.read_annotation(frame_index)
    except (DataError, OSError) as error:
        logger.warning(
            "cannot decode a frame of %s, which is read from its file: %s", video.name, error
        )
        return None
    height, width = frame.shape[:2]
    start, label_start = out.tell(), None
    out.write(frame.tobytes())
    if label_map is not None:
        if label_map.max(initial=0) > 255:
            raise DatasetError(
                f"{video.name} has object ids above 255, which a decoded file cannot store"
            )
        label_start = out.tell()
        out.write(label_map.astype(np.uint8).tobytes())
    return [height, width, start, label_start]
