"""Read masks drawn in other programs: COCO JSON (run lengths or polygons) and labelme JSON."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import pycocotools.mask

from maskcast.core.arrays import MaskArray
from maskcast.core.errors import DataError, MissingFileError, PromptError
from maskcast.core.marks import Box
from maskcast.core.strict_json import read_json
from maskcast.io.pictures import decode_picture, picture_header
from maskcast.io.prompts.marked_frame import Label, MarkedFrame
from maskcast.io.rle import checked_size, decode_mask

FARTHEST = 4
"""Maximum magnitude of a polygon's coordinates, in multiples of the frame's longer side."""
OBJECT_KEYS = ("object_id", "instance_id", "track_id")
"""Fields of an annotation that identify its object; the first one present counts."""


def read_mask_json(path: Path, size: tuple[int, int] | None = None) -> list[MarkedFrame]:
    """Read the masks in a COCO or labelme file.

    COCO files are ``{"images": [...], "annotations": [...]}``, or a list of annotations with a
    field ``frame``. Objects are identified by the first of ``OBJECT_KEYS`` that is present; on a
    single frame, the ``id`` of the annotation is enough.

    Args:
        path: the file.
        size: height and width of the frames; None uses the size in the file.

    Raises:
        MissingFileError: the file does not exist.
        PromptError: the file has another format, or a mask in it is malformed or has another size.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist")
    try:
        content = read_json(path, non_finite=True)
    except DataError as error:
        raise PromptError(error.summary) from error
    try:
        size = size or _declared_size(content)
        if isinstance(content, dict) and isinstance(content.get("shapes"), list):
            return [_from_labelme(path, content, size)]
        return _from_coco(path, content, size)
    except PromptError as error:
        raise PromptError(f"{path}: {error.summary}") from error


def _declared_size(content: Any) -> tuple[int, int]:
    """Return the size of the pictures that the file states, in any of the formats."""
    try:
        if isinstance(content, dict) and "imageHeight" in content:
            return checked_size((content["imageHeight"], content["imageWidth"]))
        if isinstance(content, dict) and content.get("images"):
            first = content["images"][0]
            return checked_size((first["height"], first["width"]))
        annotations = content["annotations"] if isinstance(content, dict) else content
        return checked_size(annotations[0]["segmentation"]["size"])
    except (KeyError, IndexError, TypeError) as error:
        raise PromptError("the size of the images is missing") from error


def _from_coco(path: Path, content: Any, size: tuple[int, int]) -> list[MarkedFrame]:
    annotations = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(annotations, list) or not all(isinstance(a, dict) for a in annotations):
        raise PromptError(
            "unknown format: neither COCO (annotations with segmentations) nor labelme (shapes)"
        )
    names = _image_names(content.get("images", []) if isinstance(content, dict) else [], size)
    frame_keys = [_coco_frame_key(annotation, names, path.stem) for annotation in annotations]
    several = len(set(frame_keys)) > 1
    frames: dict[str, MarkedFrame] = {}
    for frame_key, annotation in zip(frame_keys, annotations, strict=True):
        frame = frames.setdefault(frame_key, MarkedFrame(frame_key, path, "COCO JSON", {}))
        object_id = _coco_object(annotation, several)
        mask = segmentation_mask(annotation.get("segmentation"), size)
        before = frame.marks.get(object_id)
        frame.marks[object_id] = mask if before is None else mask | before
    return list(frames.values())


def _image_names(images: Any, size: tuple[int, int]) -> dict[Any, str]:
    try:
        for image in images:
            _reject_other_size((image.get("height", size[0]), image.get("width", size[1])), size)
        return {image["id"]: PureWindowsPath(image["file_name"]).stem for image in images}
    except (TypeError, KeyError, AttributeError) as error:
        raise PromptError("an image has no id or no file_name") from error


def _coco_frame_key(annotation: Mapping[str, Any], names: Mapping[Any, str], unnamed: str) -> str:
    if "frame" in annotation:
        return str(annotation["frame"])
    image_id = annotation.get("image_id")
    if isinstance(image_id, int | str) and image_id in names:
        return names[image_id]
    if image_id is None and not names:
        return unnamed
    raise PromptError(f"an annotation refers to image {image_id!r}, which is not listed")


def _coco_object(annotation: Mapping[str, Any], several_frames: bool) -> int:
    for key in OBJECT_KEYS:
        if key in annotation:
            value = annotation[key]
            break
    else:
        if several_frames:
            raise PromptError(
                "annotations on several frames must say which object they show; give each an "
                f"{OBJECT_KEYS[0]}"
            )
        value = annotation.get("id")
    if not isinstance(value, int) or isinstance(value, bool):
        raise PromptError(
            f"the object id of an annotation must be an integer, got {str(value)[:40]!r}"
        )
    return value


def segmentation_mask(segmentation: Any, size: tuple[int, int]) -> MaskArray:
    """Return the mask of a COCO annotation: polygons, or run lengths of either form.

    Args:
        segmentation: value of the field ``segmentation``.
        size: height and width of the picture.

    Raises:
        PromptError: the value is malformed, or has another size.
    """
    if isinstance(segmentation, dict):
        mask = decode_mask(segmentation)
        _reject_other_size(mask.shape, size)
        return mask
    if isinstance(segmentation, list) and segmentation:
        return _fill(segmentation, size)
    raise PromptError("an annotation has no segmentation")


def _reject_other_size(drawn: tuple[Any, ...], size: tuple[int, int]) -> None:
    if drawn != size:
        raise PromptError(
            f"a mask was drawn on an image of {drawn[0]}×{drawn[1]} (height × width) but the "
            f"frames are {size[0]}×{size[1]}"
        )


def _fill(polygons: Sequence[Any], size: tuple[int, int]) -> MaskArray:
    """Rasterise polygons in COCO's way, each a flat list x, y, x, y, ..."""
    for polygon in polygons:
        numbers = isinstance(polygon, list) and all(
            isinstance(value, int | float) and abs(value) <= FARTHEST * max(size)
            for value in polygon
        )
        if not numbers or len(polygon) < 6 or len(polygon) % 2:
            raise PromptError("a polygon must be a flat list of at least three points x, y")
    height, width = size
    parts = pycocotools.mask.frPyObjects([list(map(float, p)) for p in polygons], height, width)
    filled: MaskArray = pycocotools.mask.decode(pycocotools.mask.merge(parts)).astype(bool)
    return filled


def _from_labelme(path: Path, content: Mapping[str, Any], size: tuple[int, int]) -> MarkedFrame:
    declared = (content.get("imageHeight", size[0]), content.get("imageWidth", size[1]))
    _reject_other_size(declared, size)
    frame = MarkedFrame(path.stem, path, "labelme JSON", {})
    for shape in content["shapes"]:
        if not isinstance(shape, dict):
            raise PromptError("a shape must be an object with points")
        label = _labelme_label(shape)
        mark = _labelme_mark(shape, size)
        before = frame.marks.get(label)
        if before is None:
            frame.marks[label] = mark
        elif isinstance(before, np.ndarray) and isinstance(mark, np.ndarray):
            frame.marks[label] = before | mark
        else:
            raise PromptError(f"object {label} has a rectangle and another shape; keep one kind")
    return frame


def _labelme_label(shape: Mapping[str, Any]) -> Label:
    text = str(shape.get("label", "")).strip()
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    group = shape.get("group_id")
    return text if group is None else f"{text} {group}"


def _labelme_mark(shape: Mapping[str, Any], size: tuple[int, int]) -> MaskArray | Box:
    kind = shape.get("shape_type", "polygon")
    points = shape.get("points")
    if not _are_points(points):
        raise PromptError("a shape has no list of points [x, y]")
    assert isinstance(points, list)
    if kind == "polygon":
        return _fill([[value for point in points for value in point]], size)
    if kind == "rectangle" and len(points) == 2:
        (left, right), (top, bottom) = (sorted(values) for values in zip(*points, strict=True))
        if left >= size[1] or top >= size[0] or right <= 0 or bottom <= 0:
            raise PromptError("a rectangle lies outside the frame")
        return Box(left, top, right - left, bottom - top)
    if kind == "circle" and len(points) == 2:
        return _disc(points[0], points[1], size)
    if kind == "mask" and len(points) == 2:
        return _pasted(shape.get("mask"), points[0], size)
    raise PromptError(f"unsupported shape type {kind!r}; use polygon, rectangle, circle or mask")


def _are_points(points: Any) -> bool:
    return isinstance(points, list) and all(
        isinstance(point, list)
        and len(point) == 2
        and all(isinstance(value, int | float) and -1e6 < value < 1e6 for value in point)
        for point in points
    )


def _disc(centre: Sequence[float], rim: Sequence[float], size: tuple[int, int]) -> MaskArray:
    rows, columns = np.ogrid[: size[0], : size[1]]
    radius_squared = (rim[0] - centre[0]) ** 2 + (rim[1] - centre[1]) ** 2
    distance_squared = (columns + 0.5 - centre[0]) ** 2 + (rows + 0.5 - centre[1]) ** 2
    return np.asarray(distance_squared <= radius_squared)


def _pasted(encoded: Any, corner: Sequence[float], size: tuple[int, int]) -> MaskArray:
    """Paste labelme's cropped mask, a PNG in base64, at its top left corner."""
    try:
        content = base64.b64decode(str(encoded), validate=True)
        _, (height, width) = picture_header(io.BytesIO(content), "its picture")
        if width > size[1] + 1 or height > size[0] + 1:
            raise PromptError("a mask is larger than the frame")
        patch = np.asarray(decode_picture(io.BytesIO(content), "its picture").convert("L")) > 0
    except PromptError:
        raise
    except (binascii.Error, DataError) as error:
        raise PromptError(f"a mask is damaged: {error}") from error
    mask = np.zeros(size, dtype=bool)
    left, top = round(corner[0]), round(corner[1])
    if left < 0 or top < 0:
        raise PromptError("a mask starts outside the frame")
    window = mask[top : top + patch.shape[0], left : left + patch.shape[1]]
    window[:] = patch[: window.shape[0], : window.shape[1]]
    return mask
