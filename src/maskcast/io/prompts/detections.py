"""Read the boxes of a detector over time: COCO's JSON, or the text of the MOT challenge.

COCO results are a list of ``{"image_id", "bbox", "score"}``; ``image_id`` is the name or the index
of a frame. A COCO data set (``images`` and ``annotations``) names frames by ``file_name``. A line
of MOT text is ``frame,id,left,top,width,height,confidence,…``, with frames from 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from maskcast.core.errors import DataError, MissingFileError, PromptError, UsageError
from maskcast.core.marks import Box
from maskcast.core.numbers import counted, finite_number, shortened
from maskcast.core.strict_json import LARGEST_FILE, parse_json
from maskcast.io.prompts.foreign_formats import reject_xml
from maskcast.io.prompts.frames import PromptFrames
from maskcast.io.prompts.outlines import box_within

DetectedBox: TypeAlias = tuple[int | None, Sequence[Any], float]
"""Index of a frame (None: it is not read), sides of a box as in the file, score."""
MOT_COLUMNS = 7
"""Columns of MOT text up to the confidence."""


@dataclass(frozen=True, kw_only=True)
class Detections:
    """The boxes of a detector."""

    by_frame: Mapping[int, Sequence[Box]] = field(default_factory=dict)
    """Boxes by frame index, the surest first."""
    digest: str
    """SHA-256 of the file."""
    report: str
    """One line of text for the user."""


def require_detections(path: Path) -> None:
    """Raise ``MissingFileError`` if the path is not a file."""
    if not path.is_file():
        raise MissingFileError(f"{path} is not a file", options=("detections",))


def read_detections(path: Path, frames: PromptFrames, *, least_score: float) -> Detections:
    """Read the boxes of a detector.

    Args:
        path: the file.
        frames: the frames of the video.
        least_score: smallest score of the boxes to keep; boxes without a score have 1.

    Raises:
        UsageError: the score is not in [0, 1].
        MissingFileError: the file does not exist.
        DataError: it cannot be read, has another format, or no box on a frame that is read.
        PromptError: a box is malformed or outside the frame.
    """
    if not 0 <= least_score <= 1:
        raise UsageError(
            f"detection_score must be in [0, 1], got {least_score:g}", options=("detection_score",)
        )
    content = _content(path)
    is_json = content.lstrip()[:1] in (b"[", b"{")
    boxes: dict[int, list[tuple[float, Box]]] = {}
    elsewhere = below = 0
    try:
        rows = list(
            _coco_rows(parse_json(content), frames) if is_json else _mot_rows(content, frames)
        )
        for frame_index, sides, score in rows:
            if frame_index is None:
                elsewhere += 1
            elif score < least_score:
                below += 1
            else:
                box = box_within(sides, frames.size, may_be_corners=True)
                boxes.setdefault(frame_index, []).append((score, box))
    except (DataError, PromptError) as error:
        raise type(error)(f"{path}: {error.summary}", options=("detections",)) from error
    if not boxes:
        raise DataError(
            f"{path} has no box with a score of at least {least_score:g} on a frame that is read "
            f"({elsewhere} on other frames, {below} with lower scores)",
            options=("detections", "detection_score"),
        )
    kept = sum(map(len, boxes.values()))
    report = f"{path}: {kept} box{'es' * (kept != 1)} on {counted(len(boxes), 'frame')}"
    report += f"; skipped, with scores below {least_score:g}: {below}" if below else ""
    report += f"; on frames that are not read: {elsewhere}" if elsewhere else ""
    by_frame = {
        frame_index: [box for _, box in sorted(here, key=lambda pair: -pair[0])]
        for frame_index, here in sorted(boxes.items())
    }
    return Detections(by_frame=by_frame, digest=hashlib.sha256(content).hexdigest(), report=report)


def _content(path: Path) -> bytes:
    require_detections(path)
    if path.suffix.lower() == ".xml":
        reject_xml(path)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}", options=("detections",)) from error
    if len(content) > LARGEST_FILE:
        raise DataError(f"{path} is larger than {LARGEST_FILE} bytes; split it")
    return content


def _coco_rows(tree: Any, frames: PromptFrames) -> Iterator[DetectedBox]:
    images: dict[Any, int | None] = {}
    entries = tree
    if isinstance(tree, dict):
        entries = tree.get("annotations")
        images = {
            _key(image.get("id")): frames.find(Path(str(image.get("file_name"))).stem)
            for image in _objects(tree.get("images"), "images")
        }
    for entry in _objects(entries, "boxes"):
        sides, score = entry.get("bbox"), entry.get("score", 1.0)
        if not isinstance(sides, list) or type(score) not in (int, float):
            raise DataError(f"expected bbox and score of a box, got {shortened(entry, 80)}")
        key = _key(entry.get("image_id"))
        yield images.get(key) if images else frames.find(key), sides, float(score)


def _objects(listed: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise DataError(f"expected a list of {what}, as COCO writes it")
    return listed


def _key(image_id: Any) -> str:
    if type(image_id) not in (int, str):
        raise DataError(f"image_id must be the name or the index of a frame, got {image_id!r}")
    return str(image_id)


def _mot_rows(content: bytes, frames: PromptFrames) -> Iterator[DetectedBox]:
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip():
            continue
        values = [finite_number(value) for value in line.split(",")]
        if len(values) < MOT_COLUMNS - 1 or None in values[:MOT_COLUMNS]:
            raise DataError(
                f"line {number} is not frame,id,left,top,width,height,confidence as MOT writes it: "
                f"{shortened(line)!r}"
            )
        frame, _, *sides = (value or 0.0 for value in values[: MOT_COLUMNS - 1])
        score = values[MOT_COLUMNS - 1] if len(values) >= MOT_COLUMNS else 1.0
        yield frames.find_mark(max(int(frame) - 1, 0)), sides, float(score or 0.0)
