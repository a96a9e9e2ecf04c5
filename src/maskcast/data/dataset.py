"""What every data set looks like from outside: videos, frames, annotations, objects.

One interface for evaluation, scoring and training. A reader (a module of ``data.readers``)
makes a ``Dataset``; all it finds wrong it says in one message, by ``Faults``.

    frame        height × width × 3   uint8 RGB
    annotation   height × width       int32 ids, 0 background, 255 void in sets that have void
    mask         height × width       bool, one object
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from maskcast.core.arrays import LabelArray, MaskArray, Picture
from maskcast.core.errors import DatasetError, FrameError, MaskcastError
from maskcast.io.label_maps import ids_in, read_label_map
from maskcast.io.pictures import open_picture

Layout = Literal["label_maps", "one_object", "object_folders"]
"""One label map a frame; one mask a frame, of object 1; one folder of masks for each object."""

VOID = 255
"""The value of pixels that count for nothing, in the sets that have them."""


@dataclass(frozen=True)
class AnnotationFile:
    """One PNG with annotations of one frame."""

    path: Path
    object_id: int | None = None
    """None: a label map. An id: a mask of that object, every value but 0 is the object."""


@dataclass(frozen=True)
class Annotation:
    """What the truth says about one frame; masks of different objects may overlap."""

    masks: Mapping[int, MaskArray]
    """By object id, in rising order; only objects that are there."""
    void: MaskArray | None = None
    """Pixels that count for nothing; None where there are none."""


@dataclass(frozen=True)
class VideoObject:
    """One object of a video, as the data set declares it or its annotations show it."""

    object_id: int
    first_frame: int
    """Index of the frame on which its mask is given."""
    category: str | None = None
    counted_frames: tuple[int, ...] | None = None
    """Frames on which it counts, where the data set says so for each object (LVOS)."""


@dataclass(frozen=True)
class Video:
    """One video of a data set; holds names and paths only and can be sent to other processes."""

    name: str
    frame_names: tuple[str, ...]
    """Without endings, in order; a frame index is a place in here."""
    size: tuple[int, int]
    """(height, width) of all frames."""
    image_files: Mapping[int, Path] = field(repr=False)
    """By frame index; may be empty where only scoring is asked for."""
    annotation_files: Mapping[int, tuple[AnnotationFile, ...]] = field(repr=False)
    """By frame index; frames without annotation are absent."""
    layout: Layout = "label_maps"
    """Of the annotations, and so of predictions that are scored against them."""
    has_void: bool = False
    """Whether 255 in a label map is void rather than an object."""
    declared: tuple[VideoObject, ...] | None = None
    """The objects, where a list of the data set names them."""
    object_names: Mapping[int, str] = field(default_factory=dict)
    """Folder of each object, in layouts with one folder per object."""
    label_frames: tuple[int, ...] | None = None
    """Frames whose masks the benchmark wants; None: all."""

    @property
    def frame_count(self) -> int:
        """How many frames the video has."""
        return len(self.frame_names)

    @property
    def wanted_frames(self) -> tuple[int, ...]:
        """Indices of the frames whose masks belong into a submission."""
        return tuple(range(self.frame_count)) if self.label_frames is None else self.label_frames

    @cached_property
    def annotated_frames(self) -> tuple[int, ...]:
        """Indices of the frames that have an annotation, in order."""
        return tuple(sorted(self.annotation_files))

    @cached_property
    def objects(self) -> tuple[VideoObject, ...]:
        """All objects by rising id. Where nothing declares them, reads every annotation once."""
        if self.declared is not None:
            return self.declared
        first: dict[int, int] = {}
        for frame_index in self.annotated_frames:
            for object_id in self.objects_in(frame_index):
                first.setdefault(object_id, frame_index)
        return tuple(VideoObject(object_id, first[object_id]) for object_id in sorted(first))

    @property
    def object_ids(self) -> tuple[int, ...]:
        """The ids of all objects, rising."""
        return tuple(each.object_id for each in self.objects)

    @property
    def first_frame_of(self) -> dict[int, int]:
        """The frame index at which each object's mask is given, by id."""
        return {each.object_id: each.first_frame for each in self.objects}

    @property
    def categories(self) -> dict[int, str]:
        """The category of each object that has one, by id."""
        return {each.object_id: each.category for each in self.objects if each.category is not None}

    def read_frame(self, frame_index: int) -> Picture:
        """Read one image.

        Raises:
            FrameError: the set has no image for this frame, or it differs in size.
            DataError: it cannot be read.
        """
        path = self.image_files.get(frame_index)
        if path is None:
            raise FrameError(f"{self._frame(frame_index)} has no image in the data set")
        frame = np.asarray(open_picture(path).convert("RGB"))
        self._check_size(path, frame)
        return frame

    def read_annotation(self, frame_index: int) -> LabelArray | None:
        """Return the label map of a frame, None where there is no annotation.

        Void pixels hold 255. Where masks overlap (SA-V) the lowest id has the pixel.

        Raises:
            DataError: a file cannot be read or differs in size.
        """
        files = self.annotation_files.get(frame_index, ())
        if len(files) == 1 and files[0].object_id is None:
            return self._read_label_map(files[0].path)
        if not files:
            return None
        label_map = np.zeros(self.size, np.int32)
        for object_id, mask in reversed(list(self.read_masks(frame_index).masks.items())):
            label_map[mask] = object_id
        return label_map

    def read_masks(self, frame_index: int) -> Annotation:
        """Return each object's mask on a frame, and void; empty where there is no annotation.

        Raises:
            DataError: a file cannot be read or differs in size.
        """
        masks: dict[int, MaskArray] = {}
        void: MaskArray | None = None
        for file in self.annotation_files.get(frame_index, ()):
            label_map = self._read_label_map(file.path)
            if file.object_id is not None:
                if label_map.any():
                    masks[file.object_id] = label_map != 0
                continue
            for object_id in ids_in(label_map):
                if object_id == VOID and self.has_void:
                    void = label_map == VOID
                else:
                    masks[object_id] = label_map == object_id
        return Annotation({object_id: masks[object_id] for object_id in sorted(masks)}, void)

    def objects_in(self, frame_index: int) -> tuple[int, ...]:
        """Return the ids that have pixels on a frame, rising."""
        found: set[int] = set()
        for file in self.annotation_files.get(frame_index, ()):
            label_map = self._read_label_map(file.path)
            if file.object_id is None:
                found.update(ids_in(label_map))
            elif label_map.any():
                found.add(file.object_id)
        if self.has_void:
            found.discard(VOID)
        return tuple(sorted(found))

    def given_masks(self) -> dict[int, dict[int, MaskArray]]:
        """Return what a method is told: each object's mask on its own first frame, by frame index.

        Raises:
            DatasetError: an object has no pixel on the frame on which its mask should be given.
        """
        wanted: dict[int, list[int]] = {}
        for object_id, frame_index in self.first_frame_of.items():
            wanted.setdefault(frame_index, []).append(object_id)
        given: dict[int, dict[int, MaskArray]] = {}
        for frame_index in sorted(wanted):
            masks = self.read_masks(frame_index).masks
            absent = [object_id for object_id in wanted[frame_index] if object_id not in masks]
            if absent:
                raise DatasetError(
                    f"the annotation of {self._frame(frame_index)} has no mask of object "
                    f"{listed(absent)}, which must appear there for the first time"
                )
            given[frame_index] = {object_id: masks[object_id] for object_id in wanted[frame_index]}
        return given

    def _read_label_map(self, path: Path) -> LabelArray:
        label_map = read_label_map(path)
        self._check_size(path, label_map)
        return label_map

    def _check_size(self, path: Path, picture: np.ndarray) -> None:
        if picture.shape[:2] != self.size:
            height, width = picture.shape[:2]
            raise FrameError(
                f"{path} is {height}×{width} but the video {self.name} is "
                f"{self.size[0]}×{self.size[1]}"
            )

    def _frame(self, frame_index: int) -> str:
        return f"frame {self.frame_names[frame_index]} of {self.name}"


@dataclass(frozen=True)
class Dataset:
    """A split of a data set: a sequence of videos."""

    name: str
    """As commands call it, ``davis2017``."""
    split: str
    root: Path
    videos: tuple[Video, ...]
    notes: Mapping[str, str] = field(default_factory=dict)
    """What else a reader has to say (resolution, version), for the protocol in ``scores.json``."""

    def __len__(self) -> int:
        return len(self.videos)

    def __iter__(self) -> Iterator[Video]:
        return iter(self.videos)

    def __getitem__(self, index: int) -> Video:
        return self.videos[index]

    def only(self, names: Sequence[str]) -> Dataset:
        """Return the same data set with these videos alone.

        Raises:
            DatasetError: a name is not in this split.
        """
        by_name = {video.name: video for video in self.videos}
        unknown = [name for name in names if name not in by_name]
        if unknown:
            raise DatasetError(
                f"{self.name} {self.split} has no video {', '.join(unknown)}", options=("videos",)
            )
        videos = tuple(by_name[name] for name in names)
        return Dataset(self.name, self.split, self.root, videos, self.notes)


@dataclass(frozen=True)
class UnseenGroup:
    """How a benchmark tells objects that training has not shown (unseen) from the others."""

    by: Literal["category", "video"]
    """What the names of a list of unseen objects are."""
    find: Callable[[Dataset], frozenset[str] | None]
    """Return the unseen names that the files of the data set give; None if they give none."""


class Faults:
    """Collects the problems of a data set, to report all of them in one error."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.found: list[str] = []

    def add(self, fault: str | MaskcastError) -> None:
        """Note one problem."""
        if isinstance(fault, MaskcastError):
            self.found += [fault.summary, *fault.details]
        else:
            self.found.append(fault)

    def raise_if_any(self) -> None:
        """Raise ``DatasetError`` with all problems, one per line."""
        if len(self.found) == 1:
            raise DatasetError(f"{self.what}: {self.found[0]}")
        if self.found:
            raise DatasetError(f"{len(self.found)} problems with {self.what}", details=self.found)


def listed(names: Sequence[object], most: int | None = None) -> str:
    """Return names for a message: all of them, or examples of what is no list of problems."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown if most is None or len(names) <= most else f"{shown} and {len(names) - most} more"
