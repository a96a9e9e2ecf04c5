"""One line of ``masks.jsonl``: the ids and run-length encoded masks of the objects in a frame.

    {"frame": 12, "name": "00012", "size": [480, 854],
     "objects": {"1": {"counts": "…", "area": 812, "confidence": 0.97}}}

The counts are COCO's compressed run lengths; ``pycocotools.mask.decode`` decodes them together with
the size. ``{"frame": 12, "removed": true}`` cancels an earlier line about the frame. Lines are
untrusted: everything is checked, and memory use is proportional to the line and the picture.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64, Integer

from maskcast.core.arrays import LabelArray
from maskcast.core.errors import DataError
from maskcast.core.files import LONGEST_NAME
from maskcast.core.numbers import shortened, whole_number
from maskcast.core.strict_json import parse_json
from maskcast.io.label_maps import LARGEST_ID, ids_in
from maskcast.io.rle import checked_size, encode_mask, run_lengths

LARGEST_LINE = 2**25
"""Maximum length of a line in bytes; an 8K frame of noise needs less."""
MOST_FIELDS = 2**20
"""Maximum number of commas in a line, about three per object; limits what JSON parsing builds."""
LAST_FRAME = 2**40
"""Largest frame index."""


@dataclass(frozen=True, slots=True)
class PackedObject:
    """One object in one frame."""

    counts: str
    """COCO's compressed run lengths."""
    area: int
    """Area of the mask in pixels."""
    confidence: float | None
    """Mean probability over the mask, 0..1; None if the mask is empty or the value is unknown."""


@dataclass(frozen=True, slots=True)
class PackedFrame:
    """One frame of ``masks.jsonl``."""

    frame: int
    """Frame index, from 0."""
    name: str
    """Frame name."""
    size: tuple[int, int]
    """Height and width in pixels."""
    objects: Mapping[int, PackedObject]
    """Objects by id."""

    def label_map(self) -> LabelArray:
        """Decode the masks into a label map.

        Raises:
            DataError: run lengths are damaged, or two objects overlap.
        """
        height, width = self.size
        all_runs = {object_id: self._runs(object_id) for object_id in self.objects}
        by_id = {i: runs for i, runs in all_runs.items() if self.objects[i].area}
        label_map = np.zeros((height, width), np.int32)
        if not by_id:
            return label_map
        # only the columns from the first to the last object pixel are painted
        left = min(int(runs[0]) for runs in by_id.values()) // height
        right = -(-max(int(runs[: runs.size // 2 * 2].sum()) for runs in by_id.values()) // height)
        painted = np.zeros((right - left) * height, np.uint8 if max(by_id) <= 255 else np.int32)
        for object_id, runs in by_id.items():
            runs[0] -= left * height
            if runs.size % 2:
                runs[-1] -= (width - right) * height
            np.putmask(painted, np.repeat(np.arange(runs.size) % 2 == 1, runs), object_id)
        if np.count_nonzero(painted) != sum(self.objects[object_id].area for object_id in by_id):
            raise DataError("two objects have the same pixel")
        columns = painted.reshape(right - left, height)
        rows = np.flatnonzero(columns.any(axis=0))
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        label_map[top:bottom, left:right] = columns[:, top:bottom].T
        return label_map

    def _runs(self, object_id: int) -> Int64[np.ndarray, " runs"]:
        height, width = self.size
        packed = self.objects[object_id]
        runs = run_lengths(packed.counts, height * width)
        if runs is None or runs[1::2].sum() != packed.area:
            raise DataError(f"the run lengths of object {object_id} are damaged")
        return runs

    def line(self) -> bytes:
        """Return the line of ``masks.jsonl``, with its line break.

        Raises:
            DataError: the line is longer than ``LARGEST_LINE``.
        """
        objects = {
            str(object_id): {
                "counts": packed.counts,
                "area": packed.area,
                "confidence": packed.confidence,
            }
            for object_id, packed in self.objects.items()
        }
        entry = {"frame": self.frame, "name": self.name, "size": list(self.size)}
        line = json.dumps(entry | {"objects": objects}).encode() + b"\n"
        if len(line) > LARGEST_LINE:
            raise DataError(f"the masks of frame {self.frame} are too fragmented to store")
        return line


@dataclass(frozen=True, slots=True)
class RemovedFrame:
    """A line that cancels an earlier line about the same frame."""

    frame: int

    def line(self) -> bytes:
        """Return the line of ``masks.jsonl``, with its line break."""
        return json.dumps({"frame": self.frame, "removed": True}).encode() + b"\n"


def pack_frame(
    frame: int,
    name: str,
    label_map: Integer[np.ndarray, "height width"],
    confidences: Mapping[int, float | None],
) -> PackedFrame:
    """Encode a label map.

    Args:
        frame: frame index, from 0.
        name: frame name.
        label_map: object ids; each id that occurs is stored.
        confidences: confidence of each known object by id, including objects without pixels.

    Raises:
        DataError: an id is negative or above ``LARGEST_ID``.
    """
    ids = sorted(confidences)
    objects = {i: _encode(label_map == i, confidences[i]) for i in ids}
    if sum(packed.area for packed in objects.values()) < np.count_nonzero(label_map):
        others = set(ids_in(label_map)) - {*ids}
        objects |= {i: _encode(label_map == i, None) for i in others}
    if objects and not 0 < min(objects) <= max(objects) <= LARGEST_ID:
        wrong = min(objects) if min(objects) < 1 else max(objects)
        raise DataError(f"object ids must be in [1, {LARGEST_ID}], got {wrong}")
    height, width = label_map.shape
    return PackedFrame(frame, name, (height, width), dict(sorted(objects.items())))


def _encode(mask: Bool[np.ndarray, "height width"], confidence: float | None) -> PackedObject:
    encoded = encode_mask(mask)
    return PackedObject(encoded["counts"], int(np.count_nonzero(mask)), confidence)


def parse_line(line: bytes) -> PackedFrame | RemovedFrame:
    """Parse a line of ``masks.jsonl``. The run lengths are checked later, by ``label_map``.

    Raises:
        DataError: the line is incomplete or has another format.
    """
    if line.count(b",") > MOST_FIELDS:
        raise DataError("a line has too many objects")
    try:
        entry = parse_json(line)
        frame = entry["frame"]
        if type(frame) is not int or not 0 <= frame <= LAST_FRAME:
            raise DataError(f"the frame must be an index, got {str(frame)[:40]!r}")
        if entry.get("removed") is True:
            return RemovedFrame(frame)
        name = entry["name"]
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
            raise DataError(f"the name of frame {frame} must have 1 to {LONGEST_NAME} characters")
        size = checked_size(entry["size"])
        objects = {_object_id(key): _object(value) for key, value in entry["objects"].items()}
    except DataError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"a line is damaged ({type(error).__name__})") from error
    return PackedFrame(frame, name, size, objects)


def _object_id(key: str) -> int:
    object_id = whole_number(key)
    if object_id is None or not 0 < object_id <= LARGEST_ID or key[0] == "0":
        raise DataError(f"object ids must be in [1, {LARGEST_ID}], got {shortened(key)!r}")
    return object_id


def _object(entry: Any) -> PackedObject:
    counts, area, confidence = entry["counts"], entry["area"], entry["confidence"]
    known = confidence is not None
    if not isinstance(counts, str) or type(area) is not int or area < 0:
        raise DataError("an object must have run lengths as a string, and an area")
    if known and (type(confidence) not in (int, float) or not math.isfinite(confidence)):
        raise DataError(f"a confidence must be a number, got {str(confidence)[:40]!r}")
    return PackedObject(counts, area, float(confidence) if known else None)
