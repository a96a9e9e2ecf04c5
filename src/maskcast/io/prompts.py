"""What a person gave to start from: mask files, boxes and marks, settled on frames and ids.

Nothing is changed in silence: where a rule decides (a lone grey value, a colour that needs an id,
two masks that overlap), the report says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from maskcast.core.errors import MaskShapeError, MissingFileError, PromptError, UsageError
from maskcast.core.marks import NO_ENDS
from maskcast.core.palette import PALETTE
from maskcast.core.types import ABSENT, Absent, Box, Prompts
from maskcast.io import mask_pictures
from maskcast.io.boxes import TypedBox, parse_box
from maskcast.io.label_maps import LARGEST_ID
from maskcast.io.marks import Label, MarkedFrame, MaskArray
from maskcast.io.marks_json import MARKS, Place, list_marks, settle_absences, settle_ends
from maskcast.io.mask_json import read_mask_json
from maskcast.io.mask_pictures import read_mask_picture

DAVIS_COLOURS = 22
"""Colours of the palette that DAVIS has too: a picture painted in these alone keeps their ids."""

ENDINGS = (*mask_pictures.ENDINGS, ".json")


@dataclass(frozen=True)
class GivenPrompts:
    """Masks and boxes by frame index, and what was found where."""

    by_frame: Mapping[int, Prompts]
    """Frame indices count from the first frame that is read."""
    report: list[str]
    """Sentences for the person: format, ids, pixels per id, and every rule that was applied."""
    ends: Mapping[int, Collection[int]] = field(default_factory=lambda: NO_ENDS)
    """Ids of the objects that are removed before a frame, by its index."""

    @property
    def ids(self) -> list[int]:
        """The ids of all objects, rising."""
        return sorted({object_id for prompts in self.by_frame.values() for object_id in prompts})


def read_prompts(
    masks: Sequence[Path | str],
    boxes: Sequence[str] = (),
    *,
    ends: Sequence[str] = (),
    names: Sequence[str],
    size: tuple[int, int],
    first: int = 0,
    mask_threshold: int | None = None,
) -> GivenPrompts:
    """Read what was given and settle it on frames and ids.

    A mask whose name equals a frame's name belongs to it, else the number in its name is the index
    of its frame; a single file of another name belongs to the first frame. Where masks overlap, the
    higher id wins. A box without an id gets the lowest free one. A file ``marks.json`` in a folder
    of masks lists absences and ends of objects (``io.marks_json``).

    Args:
        masks: a list of files, or folders of files, or folders with one folder per object.
        boxes: ``[[FRAME:]ID:]X,Y,WIDTH,HEIGHT``.
        ends: ``FRAME:ID``: the object is removed before that frame.
        names: the names of the frames that are read.
        size: their height and width.
        first: how many frames of the video come before them.
        mask_threshold: grey value from which on a soft-edged mask is taken as object 1.

    Raises:
        MissingFileError: a file is not there.
        MaskShapeError: a mask and the frames differ in size.
        PromptError: a mask, a box or a mark cannot be used; the message says which and why.
        UsageError: neither masks nor boxes were given, or a box is malformed.
    """
    if not masks and not boxes:
        raise UsageError("no objects to follow; give a mask or a box", options=("masks", "box"))
    frames = _Frames(names, size, first)
    typed = [parse_box(text, size) for text in boxes]
    paths = [Path(mask) for mask in masks]
    found = [frame for path in paths for frame in _read_source(path, size, mask_threshold)]
    placed = frames.place(found, lone_files=_lone_files(paths))
    ids, report = _settle_labels(placed)
    by_frame: dict[int, dict[int, MaskArray | Box]] = {}
    for frame_index, frame in placed:
        report.append(frames.report(frame_index, frame, ids))
        _add(by_frame.setdefault(frame_index, {}), frame, ids, frames.label(frame_index))
    if masks and not any(by_frame.values()):
        shown = ", ".join(str(path) for path in masks)
        raise PromptError(f"no objects in {shown}: every pixel is background", options=("masks",))
    _add_boxes(by_frame, typed, frames, report)
    for frame_index, marks in sorted(by_frame.items()):
        report += _give_overlaps_to_higher_ids(marks, frames.label(frame_index))
    listed = list_marks(paths, ends)
    absent = settle_absences(listed.absent, frames, by_frame)
    ended = settle_ends(listed.ends, frames, by_frame, report)
    return GivenPrompts(_as_prompts(by_frame, absent), report, ended)


def describe_masks(path: Path, mask_threshold: int | None = None) -> list[str]:
    """Say in lines what a mask file or folder holds: format, size, ids, pixels per id."""
    frames = _read_source(path, None, mask_threshold)
    places = dict.fromkeys(frame.place for frame in frames)
    order = {place: index for index, place in enumerate(places)}
    placed = sorted(((order[frame.place], frame) for frame in frames), key=lambda pair: pair[0])
    ids, lines = _settle_labels(placed)
    for _, frame in placed:
        arrays = [mark for mark in frame.marks.values() if isinstance(mark, np.ndarray)]
        size = f", {arrays[0].shape[1]}×{arrays[0].shape[0]}" if arrays else ""
        marks = {ids[label]: mark for label, mark in frame.marks.items()}
        lines.append(f"{frame.source.name}: {frame.kind}{size}, {_counts(marks)}")
        lines += [f"    {note}" for note in frame.notes]
    return lines


class _Frames:
    """The frames prompts can belong to."""

    def __init__(self, names: Sequence[str], size: tuple[int, int], first: int) -> None:
        self.names = names
        self.size = size
        self.first = first
        self.by_name = {name: frame_index for frame_index, name in enumerate(names)}

    def label(self, frame_index: int) -> str:
        return f"frame {self.names[frame_index]}"

    def find(self, place: str) -> int | None:
        """Return the index of a frame by its name, else by its number from 0."""
        if place in self.by_name:
            return self.by_name[place]
        if not place.isdecimal():
            return None
        frame_index = int(place) - self.first
        return frame_index if 0 <= frame_index < len(self.names) else None

    def find_mark(self, place: Place) -> int | None:
        """Return the index of the frame of a mark; a number is never taken for a name."""
        if isinstance(place, str):
            return self.find(place)
        frame_index = place - self.first
        return frame_index if 0 <= frame_index < len(self.names) else None

    def place(
        self, found: Sequence[MarkedFrame], lone_files: frozenset[Path]
    ) -> list[tuple[int, MarkedFrame]]:
        """Settle every marked frame on a frame index, in their order."""
        placed, strays = [], []
        for frame in found:
            frame_index = self.find(frame.place)
            if frame_index is None:
                strays.append(frame)
            else:
                placed.append((frame_index, frame))
        if len(strays) == 1 and strays[0].source in lone_files and not strays[0].place.isdecimal():
            placed.append((0, strays[0]))
        elif strays:
            raise self._stray_error(strays)
        for _, frame in placed:
            self._refuse_other_size(frame)
        return sorted(placed, key=lambda pair: pair[0])

    def locate(self, box: TypedBox) -> int:
        """Return the frame index of a box."""
        if box.place is None:
            return 0
        frame_index = self.find(box.place)
        if frame_index is None:
            raise PromptError(
                f"box {box.text}: frame {box.place} does not exist; {self.known()}",
                options=("box",),
            )
        return frame_index

    def report(self, frame_index: int, frame: MarkedFrame, ids: Mapping[Label, int]) -> str:
        marks = {ids[label]: mark for label, mark in frame.marks.items()}
        notes = "".join(f"; {note}" for note in frame.notes)
        return (
            f"{frame.source}: {frame.kind}, for {self.label(frame_index)}: {_counts(marks)}{notes}"
        )

    def _refuse_other_size(self, frame: MarkedFrame) -> None:
        for mark in frame.marks.values():
            if isinstance(mark, np.ndarray) and mark.shape != self.size:
                raise MaskShapeError(
                    f"the mask {frame.source} is {mark.shape[1]}×{mark.shape[0]} but the frames "
                    f"are {self.size[1]}×{self.size[0]}; draw it at the size of the frames, or use "
                    "maskcast.io.label_maps.resize_label_map"
                )

    def _stray_error(self, strays: Sequence[MarkedFrame]) -> PromptError:
        shown = [f"mask {frame.place} (in {frame.source.parent})" for frame in strays]
        if len(shown) == 1:
            return PromptError(f"{shown[0]} matches no frame; {self.known()}", options=("masks",))
        return PromptError(
            f"{len(shown)} masks match no frame; {self.known()}",
            details=shown,
            options=("masks",),
        )

    def known(self) -> str:
        """Say which frames there are."""
        last = self.first + len(self.names) - 1
        return (
            f"frames are named {self.names[0]} to {self.names[-1]} and numbered "
            f"{self.first} to {last}"
        )


def _lone_files(masks: Sequence[Path]) -> frozenset[Path]:
    """Files which belong to the first frame whatever their name is: those given one by one."""
    return frozenset(path for path in masks if path.is_file())


def _read_source(
    path: Path, size: tuple[int, int] | None, mask_threshold: int | None
) -> list[MarkedFrame]:
    if not path.is_dir():
        return _read_file(path, size, mask_threshold)
    files, folders = _mask_files(path), _folders(path)
    if files and folders:
        raise PromptError(
            f"{path} contains both masks and folders; give files that show all objects, or one "
            "folder per object",
            options=("masks",),
        )
    found = [frame for file in files for frame in _read_file(file, size, mask_threshold)]
    found += [
        _as_object(frame, folder.name)
        for folder in folders
        for file in _mask_files(folder)
        for frame in _read_file(file, size, mask_threshold)
    ]
    if not found:
        holds = ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) or "nothing"
        raise PromptError(
            f"{path} contains no masks (png, COCO json or labelme json); it contains {holds}",
            options=("masks",),
        )
    return found


def _mask_files(folder: Path) -> list[Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_file()
        and entry.name[0] != "."
        and entry.name != MARKS
        and entry.suffix.lower() in ENDINGS
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")


def _read_file(
    path: Path, size: tuple[int, int] | None, mask_threshold: int | None
) -> list[MarkedFrame]:
    if not path.exists():
        raise MissingFileError(f"mask {path} does not exist", options=("masks",))
    if path.suffix.lower() == ".json":
        return read_mask_json(path, size)
    return [read_mask_picture(path, mask_threshold)]


def _as_object(frame: MarkedFrame, folder: str) -> MarkedFrame:
    """In a folder per object every mark is that object, whatever value it was painted with."""
    if len(frame.marks) > 1:
        raise PromptError(
            f"{frame.source} has {len(frame.marks)} objects but is in the folder {folder}, which "
            "must contain the masks of one object"
        )
    label: Label = int(folder) if folder.isdecimal() else folder
    marked = MarkedFrame(frame.place, frame.source, "a folder per object", {})
    marked.marks.update((label, mark) for mark in frame.marks.values())
    return marked


def _settle_labels(
    placed: Sequence[tuple[int, MarkedFrame]],
) -> tuple[dict[Label, int], list[str]]:
    """Give every text label an id, frame by frame, so that no later mask changes an earlier id.

    Colours of a frame that is painted in DAVIS colours alone, as our label maps are, keep the ids
    of these. Other colours, and words, get the lowest one that neither an earlier label has nor a
    number in files of the same kind: words and numbers side by side are different objects, but a
    number in a label map of ours is the object that got it.
    """
    davis = {f"#{r:02x}{g:02x}{b:02x}": i for i, (r, g, b) in enumerate(PALETTE[:DAVIS_COLOURS])}
    numbers: dict[str, set[int]] = {}
    for _, frame in placed:
        numbers.setdefault(frame.kind, set()).update(_numbers(frame.marks))
    ids: dict[Label, int] = {}
    texts: dict[str, None] = {}
    for _, group in groupby(placed, key=lambda pair: pair[0]):
        frames = [frame for _, frame in group]
        here = {label: None for frame in frames for label in frame.marks}
        words = [label for label in here if isinstance(label, str)]
        ids.update((number, number) for number in _numbers(here))
        as_davis = len(words) == len(here) and all(
            text in davis and ids.get(text, davis[text]) == davis[text] for text in words
        )
        reserved = set().union(*(numbers[frame.kind] for frame in frames))
        for text in words:
            if text not in ids:
                free = _lowest_free(reserved.union(ids.values()))
                ids[text] = davis[text] if as_davis else free
        texts.update(dict.fromkeys(words))
    return ids, [f"{text} gets object id {ids[text]}" for text in texts]


def _numbers(labels: Iterable[Label]) -> list[int]:
    """Return the labels that are ids already; reject those that no object can have."""
    numbers = [label for label in labels if isinstance(label, int)]
    for object_id in numbers:
        if not 1 <= object_id <= LARGEST_ID:
            raise PromptError(f"object ids must be in [1, {LARGEST_ID}], got {object_id}")
    return numbers


def _lowest_free(taken: Iterable[int]) -> int:
    used = set(taken)
    return next(object_id for object_id in range(1, LARGEST_ID) if object_id not in used)


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


def _add_boxes(
    by_frame: dict[int, dict[int, MaskArray | Box]],
    typed: Sequence[TypedBox],
    frames: _Frames,
    report: list[str],
) -> None:
    used = {object_id for marks in by_frame.values() for object_id in marks}
    used |= {box.object_id for box in typed if box.object_id is not None}
    for box in typed:
        frame_index = frames.locate(box)
        object_id = _lowest_free(used) if box.object_id is None else box.object_id
        used.add(object_id)
        marks = by_frame.setdefault(frame_index, {})
        if object_id in marks:
            raise PromptError(
                f"box {box.text}: object {object_id} is given twice on {frames.label(frame_index)}",
                options=("box",),
            )
        marks[object_id] = box.box
        report.append(f"box {box.text}: object {object_id} on {frames.label(frame_index)}")


def _give_overlaps_to_higher_ids(marks: dict[int, MaskArray | Box], where: str) -> list[str]:
    """Take pixels that two masks claim from the lower id; say where that happened."""
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


def _counts(marks: Mapping[int, MaskArray | Box]) -> str:
    if not marks:
        return "no objects"
    shown = [
        f"{number} (a box)" if isinstance(mark, Box) else f"{number} ({int(mark.sum())} pixels)"
        for number, mark in marks.items()
    ]
    return ("id " if len(shown) == 1 else "ids ") + ", ".join(shown)
