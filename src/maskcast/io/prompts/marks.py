"""Absences, ends, swaps and merges of objects: ``marks.json`` in a folder of masks, and as text.

    {"absent": [[240, 1]], "ends": [[620, 2]], "swaps": [[40, [1, 2]]], "merges": [[300, [1, 3]]]}

Each pair is a frame and an object id, or a frame and ids. The frame is an index from 0 in the whole
video, or a frame name as a string. As text, an absence is ``FRAMES:ID[,ID]`` and an end
``FRAME:ID``; ``renames`` has the forms of swaps and merges. Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from maskcast.core.errors import PromptError, UsageError
from maskcast.core.files import write_text
from maskcast.core.numbers import shortened, whole_number
from maskcast.core.strict_json import read_json
from maskcast.io.label_maps import LARGEST_ID
from maskcast.io.prompts.frames import PromptFrames
from maskcast.io.prompts.marked_frame import FrameKey
from maskcast.io.prompts.renames import ListedGroups, is_group, parse_merge, parse_swap

MARKS = "marks.json"

Listed: TypeAlias = tuple[tuple[FrameKey, int], ...]
"""Pairs of a frame and an object id."""


@dataclass(frozen=True, kw_only=True)
class ListedMarks:
    """The marks in a file."""

    absent: Listed = ()
    """Frames on which objects are not visible."""
    ends: Listed = ()
    """Frames before which objects are removed."""
    swaps: ListedGroups = ()
    """Frames from which on two objects have each other's ids."""
    merges: ListedGroups = ()
    """Frames from which on the other objects are part of the first one."""


def read_marks(path: Path) -> ListedMarks:
    """Read ``marks.json``.

    Raises:
        PromptError: the file is damaged, or has unknown entries.
    """
    try:
        tree = read_json(path)
        if not isinstance(tree, dict):
            raise TypeError(f"expected a mapping, got {type(tree).__name__}")
        if unknown := sorted(set(tree) - {"absent", "ends", "swaps", "merges"}):
            raise ValueError(f"unknown entry {unknown[0]!r}")
        return ListedMarks(
            absent=tuple(_pair("absent", pair) for pair in _listed(tree, "absent")),
            ends=tuple(_pair("ends", pair) for pair in _listed(tree, "ends")),
            swaps=tuple(_group("swaps", pair) for pair in _listed(tree, "swaps")),
            merges=tuple(_group("merges", pair) for pair in _listed(tree, "merges")),
        )
    except (OSError, ValueError, TypeError) as error:
        raise PromptError(
            f"{path} must list marks as {{'absent': [[FRAME, ID]], 'ends': [[FRAME, ID]], "
            f"'swaps': [[FRAME, [ID, ID]]], 'merges': [[FRAME, [ID, ID]]]}}: {error}",
            options=("masks",),
        ) from error


def write_marks(path: Path, marks: ListedMarks) -> None:
    """Write ``marks.json``. Raises ``OutputError``."""
    tree = {name: pairs for name, pairs in vars(marks).items() if pairs}
    write_text(path, json.dumps(tree) + "\n")


def parse_end(text: str) -> tuple[FrameKey, int]:
    """Parse ``FRAME:ID`` into a frame key and an object id. Raises ``UsageError``."""
    frame_key, _, object_id = text.strip().rpartition(":")
    number = whole_number(object_id)
    if not frame_key or number is None or not 1 <= number <= LARGEST_ID:
        raise UsageError(
            f"invalid end {shortened(text)!r}; write FRAME:ID, such as 120:2",
            options=("end_object",),
        )
    return frame_key, number


def parse_absence(text: str) -> tuple[str, tuple[int, ...]]:
    """Parse ``FRAMES:ID[,ID]`` into the text ``FRAMES`` and object ids. Raises ``UsageError``."""
    frames, _, ids = text.strip().rpartition(":")
    numbers = [whole_number(one.strip()) or 0 for one in ids.split(",")]
    if not frames or not all(1 <= number <= LARGEST_ID for number in numbers):
        raise UsageError(
            f"invalid absence {shortened(text)!r}; write FRAMES:ID[,ID], such as 120:2 or "
            "74-103:1,2",
            options=("absent",),
        )
    return frames, tuple(numbers)


def list_marks(
    sources: Sequence[Path],
    frames: PromptFrames,
    *,
    absences: Sequence[str],
    ends: Sequence[str],
    swaps: Sequence[str],
    merges: Sequence[str],
) -> ListedMarks:
    """Return the marks in folders of masks, together with marks given as text.

    Raises:
        PromptError: a ``marks.json`` is damaged, or the frames of an absence do not exist.
        UsageError: a text does not have the form of its mark.
    """
    files = [read_marks(path / MARKS) for path in sources if (path / MARKS).is_file()]
    typed = [pair for text in absences for pair in _typed_absences(text, frames)]
    return ListedMarks(
        absent=(*(pair for marks in files for pair in marks.absent), *typed),
        ends=(*(pair for marks in files for pair in marks.ends), *map(parse_end, ends)),
        swaps=(*(pair for marks in files for pair in marks.swaps), *map(parse_swap, swaps)),
        merges=(*(pair for marks in files for pair in marks.merges), *map(parse_merge, merges)),
    )


def _typed_absences(text: str, frames: PromptFrames) -> Listed:
    shown, ids = parse_absence(text)
    indices = frames.find_range(shown)
    if not indices:
        problem = "do not exist" if indices is None else "end before they begin"
        raise PromptError(
            f"absence {shortened(text)}: the frames {shortened(shown)} {problem}; {frames.known()}",
            options=("absent",),
        )
    return tuple((frames.first + index, object_id) for index in indices for object_id in ids)


def settle_absences(
    listed: Listed, frames: PromptFrames, prompts: Mapping[int, Collection[int]]
) -> dict[int, frozenset[int]]:
    """Return the ids of absent objects by frame index.

    Args:
        listed: frames and ids.
        frames: the frames of the video.
        prompts: ids of the objects with a mask or box on a frame, by frame index.

    Raises:
        PromptError: a frame does not exist, or has a prompt for the same object.
    """
    settled = _settle(listed, frames)
    _reject_both(settled, prompts, frames, "is marked as absent there", option="absent")
    return settled


def settle_ends(
    listed: Listed, frames: PromptFrames, prompts: Mapping[int, Collection[int]], report: list[str]
) -> dict[int, frozenset[int]]:
    """Return the ids of objects that end before a frame, by frame index.

    Ends of objects without an earlier mask or box have no effect and are left out.

    Args:
        listed: frames and ids.
        frames: the frames of the video.
        prompts: ids of the objects with a mask or box on a frame, by frame index.
        report: list to which a line of text per end is appended.

    Raises:
        PromptError: a frame does not exist, or has a prompt for the same object.
    """
    settled = _settle(listed, frames)
    _reject_both(settled, prompts, frames, "ends there", option="end_object")
    ends: dict[int, frozenset[int]] = {}
    for frame_index, ids in sorted(settled.items()):
        begun = {i for earlier in prompts if earlier < frame_index for i in prompts[earlier]}
        for object_id in sorted(ids):
            effect = "" if object_id in begun else " without effect: it is not marked before"
            report.append(f"{frames.label(frame_index)}: object {object_id} ends{effect}")
        if ids & begun:
            ends[frame_index] = ids & begun
    return ends


def _settle(listed: Listed, frames: PromptFrames) -> dict[int, frozenset[int]]:
    settled: dict[int, frozenset[int]] = {}
    for frame_key, object_id in listed:
        frame_index = frames.find_mark(frame_key)
        if frame_index is None:
            raise PromptError(
                f"object {object_id} is marked on frame {shortened(frame_key)}, which does not "
                f"exist; {frames.known()}",
                options=("masks", "end_object"),
            )
        settled[frame_index] = settled.get(frame_index, frozenset()) | {object_id}
    return settled


def _reject_both(
    settled: Mapping[int, frozenset[int]],
    prompts: Mapping[int, Collection[int]],
    frames: PromptFrames,
    what: str,
    *,
    option: str,
) -> None:
    for frame_index, ids in settled.items():
        if both := ids & set(prompts.get(frame_index, ())):
            raise PromptError(
                f"object {min(both)} has a mask or a box on {frames.label(frame_index)} and "
                f"{what}; remove one of the two",
                options=("masks", "corrected", "box", option),
            )


def _listed(tree: Mapping[str, Any], name: str) -> list[Any]:
    pairs = tree.get(name, [])
    if not isinstance(pairs, list):
        raise TypeError(f"{name} must be a list")
    return pairs


def _pair(name: str, pair: Any) -> tuple[FrameKey, int]:
    frame_key, object_id = _keyed(name, pair, "ID")
    if type(object_id) is not int or not 1 <= object_id <= LARGEST_ID:
        raise ValueError(f"entries of {name} must be [FRAME, ID], got {shortened(pair, 60)}")
    return frame_key, object_id


def _group(name: str, pair: Any) -> tuple[FrameKey, tuple[int, ...]]:
    frame_key, ids = _keyed(name, pair, "[ID, ID]")
    is_listed = isinstance(ids, list) and all(type(one) is int for one in ids)
    if not is_listed or not is_group(ids) or (name == "swaps" and len(ids) != 2):
        raise ValueError(f"entries of {name} must be [FRAME, [ID, ID]], got {shortened(pair, 60)}")
    return frame_key, tuple(ids)


def _keyed(name: str, pair: Any, what: str) -> tuple[FrameKey, Any]:
    if isinstance(pair, list) and len(pair) == 2:
        frame_key, value = pair
        if (type(frame_key) is int and frame_key >= 0) or (
            isinstance(frame_key, str) and frame_key != ""
        ):
            return frame_key, value
    raise ValueError(f"entries of {name} must be [FRAME, {what}], got {shortened(pair, 60)}")
