"""The results in a run folder: the frames with masks, and areas and confidences of objects.

Memory holds eight bytes per object and frame, and no masks. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32

from maskcast.core.arrays import LabelArray
from maskcast.core.errors import DataError
from maskcast.runs.card import RunCard
from maskcast.runs.frame_log import FrameLog
from maskcast.runs.layout import ASIDE, FRAME_LOG, STATES
from maskcast.runs.masks import FoundObject, MaskStore, PngMasks, mask_store
from maskcast.web.wire import pack

NOT_COMPUTED = -1
"""Area of an object on a frame without masks."""


class Results:
    """The frames of one run that have masks; results set aside are shown for frames without."""

    def __init__(self, run: Path, names: tuple[str, ...]) -> None:
        self._run = run
        self._names = names
        self._masks: MaskStore = PngMasks(run, names.__getitem__)
        self._aside: dict[int, Path] = {}
        self._stamps: list[str | None] = [None] * len(names)
        self.areas: dict[int, Int32[np.ndarray, "frames"]] = {}
        """By object id."""
        self.confidences: dict[int, Float32[np.ndarray, "frames"]] = {}

    @property
    def count(self) -> int:
        """Number of frames of the video."""
        return len(self._names)

    def load(self, card: RunCard | None) -> None:
        """Read the log of the run; damaged lines count as frames without masks.

        Other threads read the earlier results until all is known.
        """
        now = Results(self._run, self._names)
        now._fill(card)
        self._masks, self._aside, self._stamps = now._masks, now._aside, now._stamps
        self.areas, self.confidences = now.areas, now.confidences

    def _fill(self, card: RunCard | None) -> None:
        self._masks = mask_store(card.masks if card else "png", self._run, self._names.__getitem__)
        present = {path.name for path in self._run.glob("*.png")}
        packed = card is not None and card.masks != "png"
        for entry in FrameLog(self._run / FRAME_LOG).entries():
            if entry.frame < self.count and (
                packed or f"{self._names[entry.frame]}.png" in present
            ):
                stamp = stamp_of(entry.digest, entry.backward)
                self._set(entry.frame, stamp, entry.objects)
        self._load_aside()

    def step(self, frame: int, stamp: str, objects: Mapping[int, FoundObject]) -> None:
        """Record a frame that was written."""
        if 0 <= frame < self.count:
            self._aside.pop(frame, None)
            self._set(frame, stamp, objects)

    def stamp(self, frame: int) -> str | None:
        """Return the stamp of the current masks of a frame; None if it has none."""
        return self._stamps[frame] if 0 <= frame < self.count else None

    def is_current(self, frame: int) -> bool:
        """Return whether a frame has masks that were not set aside."""
        return self._stamps[frame] is not None and frame not in self._aside

    def stamps(self) -> list[tuple[int, int, str]]:
        """Return first frame, last frame and stamp of every run of frames with one stamp."""
        return [(first, last, stamp) for first, last, stamp in _runs(self._stamps) if stamp]

    def last(self) -> int:
        """Return the last frame that has masks; -1 if there is none."""
        return max((f for f, stamp in enumerate(self._stamps) if stamp), default=-1)

    def changes(self, before: list[str | None]) -> Iterator[tuple[int, int, str | None]]:
        """Yield first frame, last frame and stamp of runs of frames whose stamps have changed."""
        pairs = [
            None if old == new else (new,) for old, new in zip(before, self._stamps, strict=True)
        ]
        for first, last, changed in _runs(pairs):
            if changed is not None:
                yield first, last, changed[0]

    def snapshot(self) -> list[str | None]:
        """Return the current stamps, for ``changes``."""
        return list(self._stamps)

    def path(self, frame: int) -> Path | None:
        """Return the path of a frame's PNG; None if masks are stored otherwise."""
        if frame in self._aside:
            return self._aside[frame]
        return self._masks.path(frame) if isinstance(self._masks, PngMasks) else None

    def read(self, frame: int) -> LabelArray:
        """Return the label map of a frame. Raises ``DataError``."""
        if frame in self._aside:
            aside = self._aside[frame]
            return PngMasks(aside.parent, lambda _: aside.stem).read(0)
        return self._masks.read(frame)

    def ids(self) -> set[int]:
        """Return the ids of all objects on any frame."""
        return set(self.areas)

    def tracks(self, slots: Mapping[int, int], first: int = 0, last: int | None = None) -> Any:
        """Return areas and confidences of a range of frames by slot, in the form for the page."""
        stretch = slice(first, None if last is None else last + 1)
        return {
            str(slots[object_id]): {
                "area": pack(self.areas[object_id][stretch], "i4"),
                "confidence": pack(self.confidences[object_id][stretch], "f4"),
            }
            for object_id in sorted(self.areas)
            if object_id in slots
        }

    def _set(self, frame: int, stamp: str, objects: Mapping[int, FoundObject]) -> None:
        self._stamps[frame] = stamp
        for object_id in objects:
            if object_id not in self.areas:
                made = np.array([NOT_COMPUTED if s is None else 0 for s in self._stamps], np.int32)
                self.areas[object_id] = made
                self.confidences[object_id] = np.full(self.count, np.nan, np.float32)
        for object_id, areas in self.areas.items():
            measured = objects.get(object_id)
            areas[frame] = 0 if measured is None else min(measured.area, 2**31 - 1)
            known = measured is not None and measured.confidence is not None
            self.confidences[object_id][frame] = (
                measured.confidence if measured and known else np.nan
            )

    def _load_aside(self) -> None:
        """Use the latest results that were set aside for frames without masks."""
        shelves = [path for path in (self._run / STATES / ASIDE).glob("*") if path.is_dir()]
        with suppress(OSError):
            shelves.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for shelf in shelves:
            for entry in FrameLog(shelf / FRAME_LOG).by_frame().values():
                path = shelf / f"aside-{entry.frame:08d}.png"
                if (
                    entry.frame < self.count
                    and self._stamps[entry.frame] is None
                    and path.is_file()
                ):
                    self._set(entry.frame, stamp_of(entry.digest, entry.backward), entry.objects)
                    self._aside[entry.frame] = path


def stamp_of(digest: str | None, backward: str | None) -> str:
    """Return the stamp that identifies a version of the masks of a frame."""
    return hashlib.sha256(json.dumps([digest, backward]).encode()).hexdigest()[:12]


def read_safely(results: Results, frame: int) -> LabelArray | None:
    """Return a label map; None if it is damaged or missing."""
    with suppress(DataError, OSError):
        return results.read(frame)
    return None


def _runs(values: list[Any]) -> Iterator[tuple[int, int, Any]]:
    """Yield first index, last index and value of every run of equal values."""
    first = 0
    for value, group in groupby(values):
        length = sum(1 for _ in group)
        yield first, first + length - 1, value
        first += length
