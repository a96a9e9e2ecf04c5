"""Read masks, boxes and marks, and find the frame and the object id that each belongs to.

The report states every rule that was applied: to a single grey value, to a colour that needs an id,
to overlapping masks.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maskcast.core.arrays import MaskArray
from maskcast.core.errors import PromptError, UsageError
from maskcast.core.marks import NO_ENDS
from maskcast.core.renames import NO_RENAMES, Renames
from maskcast.core.types import ABSENT, Absent, Box, Prompts
from maskcast.io.prompts.boxes import TypedBox, parse_box
from maskcast.io.prompts.frames import PromptFrames
from maskcast.io.prompts.labels import count_from_one, lowest_free, settle_labels
from maskcast.io.prompts.marked_frame import Label, MarkedFrame, describe_marks
from maskcast.io.prompts.marks import list_marks, settle_absences, settle_ends
from maskcast.io.prompts.renames import merged_away, settle_renames, with_ends
from maskcast.io.prompts.sources import Reading, lone_files, read_source, require_prompts
from maskcast.io.prompts.whole_frames import (
    lacking,
    reject_untracked,
    report_absent,
    report_lacking,
    tracked_objects,
)


@dataclass(frozen=True)
class GivenPrompts:
    """Prompts by frame index, and a report of how they were read."""

    by_frame: Mapping[int, Prompts]
    """Prompts by frame index, counted from the first frame that is read."""
    report: list[str]
    """Lines of text for the user: format, ids, pixels per id, and every rule that was applied."""
    ends: Mapping[int, Collection[int]] = field(default_factory=lambda: NO_ENDS)
    """Ids of objects to remove before a frame, by frame index."""
    renames: Renames = field(default_factory=lambda: NO_RENAMES)
    """Swaps and merges of objects; the other fields have the ids that hold on their frame."""

    @property
    def ids(self) -> list[int]:
        """Ids of all objects, in ascending order."""
        return sorted({object_id for prompts in self.by_frame.values() for object_id in prompts})


def read_prompts(
    masks: Sequence[Path | str] | Path | str,
    boxes: Sequence[str] | str = (),
    *,
    corrected: Sequence[Path | str] = (),
    absent: Sequence[str] = (),
    ends: Sequence[str] = (),
    swaps: Sequence[str] = (),
    merges: Sequence[str] = (),
    others: Mapping[int, Collection[int]] | None = None,
    names: Sequence[str],
    size: tuple[int, int],
    first: int = 0,
    mask_threshold: int | None = None,
    goes_backward: bool = False,
) -> GivenPrompts:
    """Read masks, boxes and marks, and find the frame and the object id of each.

    A mask file belongs to the frame that has its name, or else to the frame whose index is its
    name; a single file with another name belongs to the first frame. Where masks overlap, the
    higher id wins. A box without an id gets the lowest free one. A file ``marks.json`` in a folder
    of masks lists absences, ends, swaps and merges (``io.prompts.marks``).

    A corrected mask is a painted copy of a label map of this package. It shows the whole frame:
    objects that are tracked there and that it lacks are absent. Masks say nothing about objects
    that they lack.

    Args:
        masks: a file, a folder of files, a folder with one folder per object, or several of these.
        boxes: a box as ``[[FRAME:]ID:]X,Y,WIDTH,HEIGHT``, in pixels, or several.
        corrected: corrected masks, likewise. They may have no object at all.
        absent: absences as ``FRAMES:ID[,ID]``; ``FRAMES`` is a frame, or the first and the last one
            with a hyphen between them.
        ends: ends as ``FRAME:ID``; the object is removed before that frame.
        swaps: swaps as ``FRAME:ID,ID``; the objects have each other's ids from that frame on.
        merges: merges as ``FRAME:ID,ID[,ID]``; the other objects are part of the first one from
            that frame on.
        others: ids of objects that begin by themselves (``io.prompts.detections``), by index of the
            frame on which they do; None if none can.
        names: names of the frames that are read.
        size: height and width of the frames in pixels.
        first: index of the first of these frames in the whole video.
        mask_threshold: lowest grey value (1..255) that belongs to the object, for grey masks with
            soft edges, which mark a single object, id 1.
        goes_backward: whether a backward pass follows, in which objects are tracked before their
            first mask or box too.

    Raises:
        MissingFileError: a file does not exist.
        MaskShapeError: a mask and the frames differ in size.
        PromptError: a mask, box or mark is invalid; the message says which and why.
        UsageError: neither masks nor boxes were given, or a box is malformed.
    """
    masks, boxes = _as_list("masks", masks, os.PathLike | str), _as_list("boxes", boxes, str)
    corrected, names = _as_list("corrected", corrected, os.PathLike | str), list(names)
    size = _as_size(size)
    if not names:
        raise UsageError("names must have a name for each frame, got none", options=("names",))
    if others is None:
        require_prompts(masks, boxes, corrected)
    frames = PromptFrames(names, size, first)
    typed = [parse_box(text, size) for text in boxes]
    paths, whole_paths = [Path(mask) for mask in masks], [Path(mask) for mask in corrected]
    reading = Reading(size=size, is_frame=frames.has, mask_threshold=mask_threshold)
    marked = [frame for path in paths for frame in read_source(path, reading)]
    reading = replace(reading, is_whole=True)
    marked += [frame for path in whole_paths for frame in read_source(path, reading)]
    marked = count_from_one(marked)
    assigned = frames.assign(marked, lone_files=lone_files([*paths, *whole_paths]))
    ids, report = settle_labels(assigned)
    by_frame: dict[int, dict[int, MaskArray | Box]] = {}
    for frame_index, frame in assigned:
        report.append(frames.report(frame_index, frame, ids))
        _add(by_frame.setdefault(frame_index, {}), frame, ids, frames.label(frame_index))
    if others is None and not boxes and all(frame.is_empty for _, frame in assigned):
        shown = ", ".join(map(str, [*paths, *whole_paths]))
        raise PromptError(f"no objects in {shown}: every pixel is background", options=("masks",))
    _reject_empty(assigned, frames)
    _add_boxes(by_frame, typed, frames, report)
    for frame_index, marks in sorted(by_frame.items()):
        report += _give_overlaps_to_higher_ids(marks, frames.label(frame_index))
    listed = list_marks(
        [*paths, *whole_paths], frames, absences=absent, ends=ends, swaps=swaps, merges=merges
    )
    absences = settle_absences(listed.absent, frames, by_frame)
    begun = with_ends(by_frame, others or {})
    ended = settle_ends(listed.ends, frames, begun, report)
    renames = settle_renames(
        listed.swaps,
        listed.merges,
        frames,
        prompts=begun,
        ends=ended,
        absent=absences,
        report=report,
    )
    tracked = tracked_objects(
        {*by_frame, *absences},
        begun,
        with_ends(ended, merged_away(renames)),
        goes_backward=goes_backward,
    )
    reject_untracked(absences, tracked, frames)
    ids_marked = {f: {*by_frame.get(f, ()), *absences.get(f, ())} for f in tracked}
    whole = {frame_index for frame_index, frame in assigned if frame.is_whole}
    partial = {frame_index for frame_index, frame in assigned if not frame.is_whole}
    unseen = lacking(whole, tracked, ids_marked)
    report += report_absent(unseen, frames)
    report += report_lacking(lacking(partial - whole, tracked, ids_marked), frames)
    for frame_index, missing in unseen.items():
        absences[frame_index] = absences.get(frame_index, frozenset()) | missing
    return GivenPrompts(_as_prompts(by_frame, absences), report, ended, renames)


def _as_list(name: str, files_or_texts: Any, kinds: Any) -> list[Any]:
    """Return what was given, one entry or several, as a list."""
    entries = [files_or_texts] if isinstance(files_or_texts, kinds) else files_or_texts
    is_several = isinstance(entries, Iterable) and not hasattr(entries, "ndim")
    listed = list(entries) if is_several else [None]
    if not all(isinstance(entry, kinds) for entry in listed):
        what = "files" if kinds is not str else "texts such as '1:200,120,80,160'"
        raise UsageError(
            f"{name} must be {what}, got {type(files_or_texts).__name__}; masks and boxes in "
            "memory need not be read: pass them to segment_video as {0: {1: mask}}",
            options=(name,),
        )
    return listed


def _as_size(size: Any) -> tuple[int, int]:
    try:
        height, width = (int(side) for side in size)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"size must be height and width in pixels, got {size!r}", options=("size",)
        ) from error
    return height, width


def describe_masks(path: Path, mask_threshold: int | None = None) -> list[str]:
    """Return lines that describe a mask file or folder: format, size, ids, pixels per id."""
    frames = count_from_one(read_source(path, Reading(mask_threshold=mask_threshold)))
    frame_keys = dict.fromkeys(frame.frame_key for frame in frames)
    order = {frame_key: index for index, frame_key in enumerate(frame_keys)}
    assigned = sorted(
        ((order[frame.frame_key], frame) for frame in frames), key=lambda pair: pair[0]
    )
    ids, lines = settle_labels(assigned)
    for _, frame in assigned:
        arrays = [mark for mark in frame.marks.values() if isinstance(mark, np.ndarray)]
        size = f", {arrays[0].shape[1]}×{arrays[0].shape[0]}" if arrays else ""
        marks = {ids[label]: mark for label, mark in frame.marks.items()}
        lines.append(f"{frame.source.name}: {frame.kind}{size}, {describe_marks(marks)}")
        lines += [f"    {note}" for note in frame.notes]
    return lines


def _add(
    marks: dict[int, MaskArray | Box], frame: MarkedFrame, ids: Mapping[Label, int], where: str
) -> None:
    for label, mark in frame.marks.items():
        if ids[label] in marks:
            raise PromptError(
                f"object {ids[label]} is given twice on {where}, the second time in {frame.source}"
            )
        if isinstance(mark, Box) or mark.any():
            marks[ids[label]] = mark


def _reject_empty(assigned: Sequence[tuple[int, MarkedFrame]], frames: PromptFrames) -> None:
    """Reject masks in which every pixel is background, except corrected ones."""
    for frame_index, frame in assigned:
        if frame.is_empty and not frame.is_whole:
            raise PromptError(
                f"no objects in {frame.source}, for {frames.label(frame_index)}: every pixel is "
                "background; give it as a corrected mask if the objects are absent there, or "
                "remove it",
                options=("corrected",),
            )


def _add_boxes(
    by_frame: dict[int, dict[int, MaskArray | Box]],
    typed: Sequence[TypedBox],
    frames: PromptFrames,
    report: list[str],
) -> None:
    used = {object_id for marks in by_frame.values() for object_id in marks}
    used |= {box.object_id for box in typed if box.object_id is not None}
    known = {*(i for marks in by_frame.values() for i in marks), *range(1, len(used) + 1)}
    for box in typed:
        frame_index = frames.locate(box)
        object_id = lowest_free(used) if box.object_id is None else box.object_id
        used.add(object_id)
        marks = by_frame.setdefault(frame_index, {})
        if object_id in marks:
            raise PromptError(
                f"box {box.text}: object {object_id} is given twice on {frames.label(frame_index)}",
                options=("box",),
            )
        marks[object_id] = box.box
        hint = _frame_hint(box, frames, known)
        report.append(f"box {box.text}: object {object_id} on {frames.label(frame_index)}{hint}")


def _frame_hint(box: TypedBox, frames: PromptFrames, known: Collection[int]) -> str:
    """Return how to write a box whose only number is a frame as well as an id, if it is no id."""
    number = box.object_id
    if number is None or box.frame_key is not None or number in known:
        return ""
    if frames.find(str(number)) is None:
        return ""
    return f"; for frame {number} write {number}:ID:X,Y,WIDTH,HEIGHT"


def _give_overlaps_to_higher_ids(marks: dict[int, MaskArray | Box], where: str) -> list[str]:
    """Remove overlaps from the masks with lower ids, and return a line of text for each change."""
    report = []
    owned: MaskArray | None = None
    for object_id in sorted(marks, reverse=True):
        mask = marks[object_id]
        if isinstance(mask, Box):
            continue
        if owned is not None and (shared := int((mask & owned).sum())):
            mask = mask & ~owned
            if not mask.any():
                raise PromptError(
                    f"on {where} object {object_id} is completely covered by objects with higher "
                    "ids; draw masks that do not overlap"
                )
            marks[object_id] = mask
            report.append(
                f"on {where} object {object_id} loses {shared} pixels to objects with higher ids"
            )
        owned = mask if owned is None else owned | mask
    return report


def _as_prompts(
    by_frame: Mapping[int, Mapping[int, MaskArray | Box]],
    absent: Mapping[int, Collection[int]],
) -> dict[int, Prompts]:
    prompts: dict[int, dict[int, torch.Tensor | Box | Absent]] = {
        frame_index: {object_id: _as_prompt(mark) for object_id, mark in marks.items()}
        for frame_index, marks in by_frame.items()
        if marks
    }
    for frame_index, ids in absent.items():
        prompts.setdefault(frame_index, {}).update(dict.fromkeys(ids, ABSENT))
    return {
        frame_index: {object_id: marks[object_id] for object_id in sorted(marks)}
        for frame_index, marks in sorted(prompts.items())
    }


def _as_prompt(mark: MaskArray | Box) -> torch.Tensor | Box:
    return mark if isinstance(mark, Box) else torch.from_numpy(np.ascontiguousarray(mark))
