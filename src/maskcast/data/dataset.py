"""The common interface of data sets: videos, frames, annotations, objects.

Evaluation, scoring and training use it. A reader (a module of ``data.readers``) creates a
``Dataset``, and collects all problems in ``Faults`` to report them in one error.

    frame        height × width × 3   uint8 RGB
    annotation   height × width       int32 ids, 0 background, 255 void if the data set has void
    mask         height × width       bool, one object
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from maskcast.core.arrays import LabelArray, MaskArray, Picture
from maskcast.core.errors import DatasetError, FrameError, MaskcastError
from maskcast.io.label_maps import ids_in, read_label_map
from maskcast.io.pictures import open_picture

Layout: TypeAlias = Literal["label_maps", "one_object", "object_folders"]
"""One label map per frame; one mask of object 1 per frame; or one folder of masks per object."""

VOID = 255
"""Label of void pixels, which are left out of losses and metrics, in data sets that have them."""


@dataclass(frozen=True)
class AnnotationFile:
    """One PNG with annotations of one frame."""

    path: Path
    object_id: int | None = None
    """Object of the mask, which any non-zero value marks; None if the file is a label map."""


@dataclass(frozen=True)
class Annotation:
    """The ground truth of one frame; masks of different objects may overlap."""

    masks: Mapping[int, MaskArray]
    """Masks by object id, in ascending order, of the objects that are visible."""
    void: MaskArray | None = None
    """Void pixels; None if there are none."""


@dataclass(frozen=True)
class VideoObject:
    """One object of a video, from a list of the data set or from its annotations."""

    object_id: int
    first_frame: int
    """Index of the frame on which the object's mask is given."""
    category: str | None = None
    counted_frames: tuple[int, ...] | None = None
    """Indices of the frames on which the object counts, if the data set lists them (LVOS)."""


@dataclass(frozen=True)
class Video:
    """One video of a data set. It has only names and paths, and can be sent to other processes."""

    name: str
    frame_names: tuple[str, ...]
    """Names of the frames without extension, in order; a frame index is an index into this."""
    size: tuple[int, int]
    """Height and width of all frames, in pixels."""
    image_files: Mapping[int, Path] = field(repr=False)
    """Images by frame index; may be empty if the video is only used for scoring."""
    annotation_files: Mapping[int, tuple[AnnotationFile, ...]] = field(repr=False)
    """Annotations by frame index; frames without annotation are left out."""
    layout: Layout = "label_maps"
    """Layout of the annotations, and of predictions that are scored against them."""
    has_void: bool = False
    """Whether 255 in a label map is void rather than an object."""
    declared: tuple[VideoObject, ...] | None = None
    """Objects in a list of the data set; None if there is no list."""
    object_names: Mapping[int, str] = field(default_factory=dict)
    """Folder of each object by id, in layouts with one folder per object."""
    label_frames: tuple[int, ...] | None = None
    """Indices of the frames whose masks the benchmark expects; None for all frames."""

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return len(self.frame_names)

    @property
    def wanted_frames(self) -> tuple[int, ...]:
        """Indices of the frames whose masks belong in a submission."""
        return tuple(range(self.frame_count)) if self.label_frames is None else self.label_frames

    @cached_property
    def annotated_frames(self) -> tuple[int, ...]:
        """Indices of the frames with an annotation, in ascending order."""
        return tuple(sorted(self.annotation_files))

    @cached_property
    def objects(self) -> tuple[VideoObject, ...]:
        """All objects in ascending order of id.

        If the data set does not list them, every annotation is read once.
        """
        if self.declared is not None:
            return self.declared
        first: dict[int, int] = {}
        for frame_index in self.annotated_frames:
            for object_id in self.objects_in(frame_index):
                first.setdefault(object_id, frame_index)
        return tuple(VideoObject(object_id, first[object_id]) for object_id in sorted(first))

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of all objects, in ascending order."""
        return tuple(item.object_id for item in self.objects)

    @property
    def first_frame_of(self) -> dict[int, int]:
        """Index of the frame on which each object's mask is given, by object id."""
        return {item.object_id: item.first_frame for item in self.objects}

    @property
    def categories(self) -> dict[int, str]:
        """Category of each object that has one, by object id."""
        return {item.object_id: item.category for item in self.objects if item.category is not None}

    def read_frame(self, frame_index: int) -> Picture:
        """Read one image.

        Raises:
            FrameError: the data set has no image for this frame, or the image has another size.
            DataError: the image cannot be read.
        """
        path = self.image_files.get(frame_index)
        if path is None:
            raise FrameError(f"{self._frame(frame_index)} has no image in the data set")
        frame = np.asarray(open_picture(path).convert("RGB"))
        self._check_size(path, frame)
        return frame

    def read_annotation(self, frame_index: int) -> LabelArray | None:
        """Return the label map of a frame; None if there is no annotation.

        Void pixels are 255. Where masks overlap (SA-V), the lowest id wins.

        Raises:
            DataError: a file cannot be read, or has another size.
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
        """Return the masks of a frame's objects, and its void; empty if there is no annotation.

        Raises:
            DataError: a file cannot be read, or has another size.
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
        """Return the ids that have pixels on a frame, in ascending order."""
        ids: set[int] = set()
        for file in self.annotation_files.get(frame_index, ()):
            label_map = self._read_label_map(file.path)
            if file.object_id is None:
                ids.update(ids_in(label_map))
            elif label_map.any():
                ids.add(file.object_id)
        if self.has_void:
            ids.discard(VOID)
        return tuple(sorted(ids))

    def given_masks(self) -> dict[int, dict[int, MaskArray]]:
        """Return the masks to start from: each object's mask on its first frame, by frame index.

        Raises:
            DatasetError: an object has no pixels on the frame on which its mask should be given.
        """
        wanted: dict[int, list[int]] = {}
        for object_id, frame_index in self.first_frame_of.items():
            wanted.setdefault(frame_index, []).append(object_id)
        masks_by_frame: dict[int, dict[int, MaskArray]] = {}
        for frame_index in sorted(wanted):
            masks = self.read_masks(frame_index).masks
            absent = [object_id for object_id in wanted[frame_index] if object_id not in masks]
            if absent:
                raise DatasetError(
                    f"the annotation of {self._frame(frame_index)} has no mask of object "
                    f"{listed(absent)}, which must appear there for the first time"
                )
            masks_by_frame[frame_index] = {
                object_id: masks[object_id] for object_id in wanted[frame_index]
            }
        return masks_by_frame

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


SHOWN_VIDEOS = 20
"""Known videos that the message about an unknown one lists."""


@dataclass(frozen=True)
class Dataset:
    """A split of a data set: a sequence of videos."""

    name: str
    """Name in commands, such as ``davis2017``."""
    split: str
    root: Path
    videos: tuple[Video, ...]
    notes: Mapping[str, str] = field(default_factory=dict)
    """Further facts from the reader (resolution, version), for the protocol in ``scores.json``."""

    def __len__(self) -> int:
        return len(self.videos)

    def __iter__(self) -> Iterator[Video]:
        return iter(self.videos)

    def __getitem__(self, index: int) -> Video:
        return self.videos[index]

    def only(self, names: Sequence[str]) -> Dataset:
        """Return the same data set with only these videos.

        Raises:
            DatasetError: a name is not in this split.
        """
        by_name = {video.name: video for video in self.videos}
        unknown = [name for name in names if name not in by_name]
        if unknown:
            where = "the data set" if self.name == "folder" else f"{self.name} {self.split}"
            near = get_close_matches(unknown[0], by_name, n=1)
            hint = f"did you mean {near[0]}? It has " if near else "it has "
            raise DatasetError(
                f"{where} has no video {', '.join(unknown)}; {hint}"
                f"{listed(list(by_name), SHOWN_VIDEOS)}",
                options=("videos",),
            )
        videos = tuple(by_name[name] for name in names)
        return Dataset(self.name, self.split, self.root, videos, self.notes)


@dataclass(frozen=True)
class UnseenGroup:
    """A benchmark's definition of unseen objects, which do not occur in its training data."""

    by: Literal["category", "video"]
    """Whether unseen objects are listed by category or by video."""
    find: Callable[[Dataset], frozenset[str] | None]
    """Function that finds the unseen names in the files of the data set; None if unavailable."""


class Faults:
    """Collects the problems of a data set, to report all of them in one error."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.problems: list[str] = []

    def add(self, fault: str | MaskcastError) -> None:
        """Add a problem."""
        if isinstance(fault, MaskcastError):
            self.problems += [fault.summary, *fault.details]
        else:
            self.problems.append(fault)

    def raise_if_any(self) -> None:
        """Raise ``DatasetError`` with all problems, one per line."""
        if len(self.problems) == 1:
            raise DatasetError(f"{self.what}: {self.problems[0]}")
        if self.problems:
            raise DatasetError(
                f"{len(self.problems)} problems with {self.what}", details=self.problems
            )


def listed(names: Sequence[object], most: int | None = None) -> str:
    """Join names for a message; with ``most``, only the first ones and the number of others."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown if most is None or len(names) <= most else f"{shown} and {len(names) - most} more"
