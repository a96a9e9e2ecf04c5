"""Read annotations in COCO's form: COCO itself, CVAT, Roboflow, SAM's lists, YouTube-VIS tracks.

Objects are identified by the first of ``OBJECT_KEYS`` that an annotation or its ``attributes``
have; on a single frame, the ``id`` of the annotation is enough. Ids that are missing or too large
are replaced by numbers in the order of the file. What was done is in the notes of the frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, TypeAlias

import numpy as np

from maskcast.core.arrays import MaskArray
from maskcast.core.errors import PromptError
from maskcast.core.marks import Box
from maskcast.core.numbers import shortened, whole_number
from maskcast.io.label_maps import LARGEST_ID
from maskcast.io.prompts.marked_frame import FrameKey, Label, MarkedFrame
from maskcast.io.prompts.outlines import box_within, reject_other_size, segmentation_mask
from maskcast.io.rle import checked_size

KIND = "COCO JSON"
OBJECT_KEYS = ("object_id", "instance_id", "track_id")
"""Fields of an annotation that identify its object; the first one present counts."""

INDEX_KEYS = ("frame_index", "frame_id")
"""Fields of an image that have the index of its frame in the video."""

CocoEntry: TypeAlias = Mapping[str, Any]
IsFrame: TypeAlias = Callable[[FrameKey], bool]
"""Whether a frame of the video has a name or index."""


@dataclass(frozen=True)
class _Image:
    """An image of a file."""

    file_name: str
    size: tuple[int, int] | None
    """Declared height and width in pixels."""

    index: int | None = None
    """Index of its frame, if the file says so."""
    key: str = ""
    """Its id in the file."""

    @property
    def name(self) -> str:
        return PureWindowsPath(self.file_name).stem


@dataclass(frozen=True)
class _Shown:
    """An object on a frame: what marks it, and where it comes from."""

    frame_key: FrameKey
    annotation: CocoEntry
    segmentation: Any
    bbox: Any
    image: _Image | None = None


def read_coco(
    path: Path, content: Any, size: tuple[int, int] | None, is_frame: IsFrame | None
) -> list[MarkedFrame]:
    """Read annotations; those of images that are no frames of the video are skipped.

    Args:
        path: the file.
        content: its JSON.
        size: height and width of the frames; None uses the sizes in the file.
        is_frame: tells which names are frames of the video; None takes all.

    Raises:
        PromptError: the file has another format, or an annotation is malformed.
    """
    annotations = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(annotations, list) or not all(isinstance(a, dict) for a in annotations):
        raise PromptError(
            "unknown format: neither COCO (annotations with segmentations) nor labelme (shapes)"
        )
    tracks = [a for a in annotations if "segmentations" in a or "bboxes" in a]
    if tracks:
        shown = list(_shown_in_tracks(content, tracks))
    else:
        shown = list(_shown_in_images(path, content, annotations))
    notes: list[str] = []
    if is_frame is not None:
        shown = _of_this_video(shown, is_frame, notes)
    keys = dict.fromkeys(one.frame_key for one in shown)
    if is_frame is not None and len(keys) > 1 and not any(map(is_frame, keys)):
        return [MarkedFrame(key, path, KIND, {}) for key in keys]  # reported with all their names
    _reject_same_names(shown)
    return _marked(path, shown, size, notes, are_tracks=bool(tracks))


def _shown_in_images(
    path: Path, content: Any, annotations: Sequence[CocoEntry]
) -> Iterator[_Shown]:
    images = _images(content)
    files = Counter(image.file_name for image in images.values())
    for annotation in annotations:
        image = None
        frame = annotation.get("frame")
        if frame is None or isinstance(frame, bool | list | dict | float):
            image = _image_of(annotation, images)
            frame = path.stem if image is None else image.name
            if image is not None and image.index is not None and files[image.file_name] > 1:
                frame = image.index  # the name is that of the video
        segmentation, bbox = annotation.get("segmentation"), annotation.get("bbox")
        yield _Shown(frame, annotation, segmentation, bbox, image)


def _images(content: Any) -> dict[str, _Image]:
    listed = content.get("images") if isinstance(content, dict) else None
    if listed is None:
        return {}
    try:
        return {
            key: _Image(_file_name(image), _declared_size(image), _index(image), key)
            for image in listed
            for key in [_id_text(image["id"])]
        }
    except (TypeError, KeyError, AttributeError) as error:
        raise PromptError("an image has no id or no file_name") from error


def _file_name(image: Mapping[str, Any]) -> str:
    return str(image["file_name"] if image.get("file_name") else image["coco_url"])  # as in LVIS


def _index(image: Mapping[str, Any]) -> int | None:
    """Return the index of the frame, which data sets of videos give beside its name."""
    values = [image.get(key) for key in INDEX_KEYS]
    return next((value for value in values if type(value) is int), None)


def _declared_size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    sides = image.get("height"), image.get("width")
    return None if None in sides else checked_size(sides)


def _id_text(value: Any) -> str:
    """Return an id as text, so that 7 and "7" are the same."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return str(value)


def _image_of(annotation: CocoEntry, images: Mapping[str, _Image]) -> _Image | None:
    image_id = annotation.get("image_id")
    if image_id is None:
        if len(images) > 1:
            raise PromptError(f"an annotation has no image_id, but there are {len(images)} images")
        return next(iter(images.values()), None)
    try:
        return images[_id_text(image_id)]
    except (KeyError, TypeError):
        raise PromptError(
            f"an annotation refers to image {shortened(image_id)}, which is not listed"
        ) from None


def _shown_in_tracks(content: Any, tracks: Sequence[CocoEntry]) -> Iterator[_Shown]:
    """Yield what the tracks of YouTube-VIS show, frame by frame."""
    listed = content.get("videos") if isinstance(content, dict) else None
    videos = (
        [video for video in listed if isinstance(video, dict)] if isinstance(listed, list) else []
    )
    used = {str(track.get("video_id")) for track in tracks}
    if len(used) > 1:
        raise PromptError(f"the file has tracks of {len(used)} videos; keep those of one")
    video = next((v for v in videos if str(v.get("id")) in used), {})
    files = video.get("file_names")
    names = [str(name) for name in files] if isinstance(files, list) else None
    size = _declared_size(video)
    for track in tracks:
        masks, boxes = (_per_frame(track.get(key)) for key in ("segmentations", "bboxes"))
        for index in range(max(len(masks), len(boxes))):
            mask = masks[index] if index < len(masks) else None
            box = boxes[index] if index < len(boxes) else None
            if not mask and not box:
                continue
            if names is not None and index >= len(names):
                raise PromptError("a track is longer than the file_names of its video")
            image = None if names is None else _Image(names[index], size)
            yield _Shown(index if image is None else image.name, track, mask, box, image)


def _per_frame(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise PromptError("the segmentations of a track must be a list with one entry per frame")
    return value


def _of_this_video(shown: list[_Shown], is_frame: IsFrame, notes: list[str]) -> list[_Shown]:
    """Return what is on frames of the video; everything if nothing is."""
    keys = {one.frame_key for one in shown}
    here = {key for key in keys if is_frame(key)}
    if not here or here == keys:
        return shown
    left = [one for one in shown if one.frame_key not in here]
    notes.append(
        f"{len(left)} annotations of {len(keys - here)} images that are no frames of this video "
        "are skipped"
    )
    return [one for one in shown if one.frame_key in here]


def _reject_same_names(shown: Sequence[_Shown]) -> None:
    """Reject images of one name in different folders, such as those of two videos."""
    images: dict[FrameKey, _Image] = {}
    for frame_key, image in ((one.frame_key, one.image) for one in shown if one.image is not None):
        other = images.setdefault(frame_key, image)
        if (other.file_name, other.key) != (image.file_name, image.key):
            raise PromptError(
                f"the file has two images named {shortened(frame_key)} "
                f"({shortened(other.file_name)}, {shortened(image.file_name)}); keep the "
                "annotations of one video"
            )


def _marked(
    path: Path,
    shown: Sequence[_Shown],
    size: tuple[int, int] | None,
    notes: list[str],
    *,
    are_tracks: bool,
) -> list[MarkedFrame]:
    several = len({one.frame_key for one in shown}) > 1
    field, labels = _numbered(shown, several, notes, are_tracks=are_tracks)
    frames: dict[FrameKey, MarkedFrame] = {}
    joined: Counter[tuple[FrameKey, Label]] = Counter()
    label: Label
    for one, label in zip(shown, labels, strict=True):
        frame = frames.setdefault(
            one.frame_key,
            MarkedFrame(
                one.frame_key,
                path,
                KIND,
                {},
                [*notes],
                also_named=_other_name(one),
                numbered_by=field,
            ),
        )
        mark = _mark(one, size)
        before = frame.marks.get(label)
        if before is not None:
            mark = _union(before, mark, label)
            joined[one.frame_key, label] += 1
        frame.marks[label] = mark
    for (frame_key, label), count in joined.items():
        frames[frame_key].notes.append(f"{count + 1} annotations are parts of object {label}")
    return list(frames.values())


def _other_name(one: _Shown) -> FrameKey | None:
    index = None if one.image is None else one.image.index
    return None if index == one.frame_key else index


def _union(before: MaskArray | Box, mark: MaskArray | Box, label: Label) -> MaskArray:
    if isinstance(before, Box) or isinstance(mark, Box):
        raise PromptError(f"object {label} has a bbox and another annotation; keep one")
    return np.asarray(before | mark)


def _mark(one: _Shown, size: tuple[int, int] | None) -> MaskArray | Box:
    declared = one.image.size if one.image is not None else None
    if size is not None and declared is not None:
        reject_other_size(declared, size)
    size = size or declared or _size_of_runs(one.segmentation)
    if size is None:
        raise PromptError("the size of the images is missing")
    outlines = one.segmentation
    if isinstance(outlines, list):
        outlines = [outline for outline in outlines if outline != []]
    if outlines or one.bbox is None:
        return segmentation_mask(outlines, size)
    return box_within(one.bbox, size, may_be_corners=True)


def _size_of_runs(segmentation: Any) -> tuple[int, int] | None:
    return checked_size(segmentation.get("size")) if isinstance(segmentation, dict) else None


def _numbered(
    shown: Sequence[_Shown], several: bool, notes: list[str], *, are_tracks: bool
) -> tuple[str, list[int]]:
    """Return the field that numbers objects, "" for none, and the number of each annotation."""
    values = [_identity(one.annotation) for one in shown]
    fields = {field for field, _ in values}
    if "" in fields and several and not are_tracks:
        raise PromptError(
            "annotations on several frames must say which object they show; give each an "
            f"{OBJECT_KEYS[0]}"
        )
    if len(fields - {""}) > 1:
        raise PromptError(
            f"annotations name their objects in different fields ({', '.join(sorted(fields))}); "
            "use one"
        )
    if "" not in fields:
        field = next(iter(fields), "")
        return field, [_integer(value) for _, value in values]
    ids = [one.annotation.get("id") for one in shown]
    missing = None in ids
    numbers = [0 if value is None else _integer(value) for value in ids]
    if fields - {""}:
        named = max(fields)
        notes.append(f"some annotations have no {named}, so all are objects of their own")
    if not missing and max(numbers, default=0) < LARGEST_ID:
        return "id", numbers
    why = "they have no id" if missing else f"ids are above {LARGEST_ID}"
    notes.append(f"its annotations are numbered in order, because {why}")
    first_seen = dict.fromkeys(id(one.annotation) for one in shown)
    order = {annotation: number for number, annotation in enumerate(first_seen, start=1)}
    return "", [order[id(one.annotation)] for one in shown]


def _identity(annotation: CocoEntry) -> tuple[str, Any]:
    """Return the field that identifies an object, and its value; "" if there is none."""
    attributes = annotation.get("attributes")
    for fields in (annotation, attributes if isinstance(attributes, dict) else {}):
        for key in OBJECT_KEYS:
            if fields.get(key) is not None:
                return key, fields[key]
    return "", None


def _integer(value: Any) -> int:
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer() and abs(value) <= LARGEST_ID:
        return int(value)
    number = whole_number(value) if isinstance(value, str) else None
    if number is None or str(number) != value:  # "01" is no number
        raise PromptError(
            f"the object id of an annotation must be an integer, got {shortened(value)!r}"
        )
    return number
