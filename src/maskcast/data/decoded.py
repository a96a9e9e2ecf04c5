"""Keep decoded frames and label maps in one file that all loader processes share.

Decoding a picture costs more than everything that is done to it afterwards. The decoded file is
mapped into memory, so that the system keeps one copy of it for all processes, as far as it fits.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from maskcast.core.errors import DatasetError
from maskcast.data.clips import AnnotatedVideo
from maskcast.data.visibility import fingerprint_of


@dataclass(frozen=True)
class _Place:
    """Where a frame and its label map begin in the file, and their size."""

    height: int
    width: int
    frame: int
    label_map: int | None


@dataclass(frozen=True)
class DecodedVideo:
    """A video whose frames lie decoded in a file; read like any other, only faster."""

    name: str
    frame_names: tuple[str, ...]
    has_void: bool
    file: Path
    places: tuple[_Place, ...]

    def read_frame(self, frame_index: int) -> UInt8[np.ndarray, "height width 3"]:
        place = self.places[frame_index]
        length = 3 * place.height * place.width
        pixels = _mapped(self.file)[place.frame : place.frame + length]
        return pixels.reshape(place.height, place.width, 3)

    def read_annotation(self, frame_index: int) -> UInt8[np.ndarray, "height width"] | None:
        place = self.places[frame_index]
        if place.label_map is None:
            return None
        pixels = _mapped(self.file)[place.label_map : place.label_map + place.height * place.width]
        return pixels.reshape(place.height, place.width)


@lru_cache(maxsize=16)
def _mapped(file: Path) -> np.ndarray:
    """Return the file as a read-only array; pages are loaded as they are needed."""
    return np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))


def decode_videos(
    videos: Sequence[AnnotatedVideo], folder: Path, *, name: str
) -> tuple[DecodedVideo, ...]:
    """Return the same videos, decoded; decodes them unless an earlier call left them there.

    Args:
        folder: where ``<name>-<fingerprint>.raw`` and its index are written; made if not there.
            The fingerprint covers the names of videos and frames, not their contents: remove the
            files after changing pictures in place.

    Raises:
        DatasetError: an id is above 255.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fingerprint = fingerprint_of(videos)
    file, index = folder / f"{name}-{fingerprint}.raw", folder / f"{name}-{fingerprint}.json"
    if not (file.is_file() and index.is_file()):
        _write(videos, file, index)
    places: list[list[list[Any]]] = json.loads(index.read_text())
    return tuple(
        DecodedVideo(
            video.name,
            tuple(video.frame_names),
            video.has_void,
            file,
            tuple(_Place(*place) for place in rows),
        )
        for video, rows in zip(videos, places, strict=True)
    )


def _write(videos: Sequence[AnnotatedVideo], file: Path, index: Path) -> None:
    """Decode everything; the files get their names when they are complete."""
    unfinished = file.with_suffix(f".{os.getpid()}.part")
    rows: list[list[list[int | None]]] = []
    position = 0
    with unfinished.open("wb") as out:
        for video in videos:
            rows.append([])
            for frame_index in range(len(video.frame_names)):
                frame = video.read_frame(frame_index)
                label_map = video.read_annotation(frame_index)
                height, width = frame.shape[:2]
                start = position
                position += out.write(frame.tobytes())
                label_start = None
                if label_map is not None:
                    if label_map.max(initial=0) > 255:
                        raise DatasetError(
                            f"{video.name} has ids above 255, which a decoded file cannot hold"
                        )
                    label_start = position
                    position += out.write(label_map.astype(np.uint8).tobytes())
                rows[-1].append([height, width, start, label_start])
    unfinished.replace(file)
    unfinished.with_suffix(".part-index").write_text(json.dumps(rows))
    unfinished.with_suffix(".part-index").replace(index)
