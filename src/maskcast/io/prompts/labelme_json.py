"""Read masks and boxes drawn in labelme, or in X-AnyLabeling, which writes the same JSON."""

from __future__ import annotations

import base64
import binascii
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from maskcast.core.arrays import MaskArray
from maskcast.core.errors import DataError, PromptError
from maskcast.core.marks import Box
from maskcast.core.numbers import BEYOND, shortened, signed_number
from maskcast.io.pictures import decode_picture, picture_header
from maskcast.io.prompts.marked_frame import Label, MarkedFrame
from maskcast.io.prompts.outlines import box_within, fill, reject_other_size

KIND = "labelme JSON"
POLYGONS = ("polygon", "rotation", "quadrilateral")
WITHOUT_AREA = ("point", "points", "line", "linestrip")
"""Shapes that mark no pixels; they are skipped beside others."""
CORNERS = 4


def read_labelme(path: Path, content: Mapping[str, Any], size: tuple[int, int]) -> MarkedFrame:
    """Read the shapes of a file.

    A label that is a number is an object id, and its shapes are parts of one object. Shapes of
    another label are one object each, or one for each ``group_id``, as labelme counts them.

    Args:
        path: the file.
        content: its JSON, with a list ``shapes``.
        size: height and width of the frames.

    Raises:
        PromptError: a shape is malformed or unsupported, or was drawn on an image of another size.
    """
    declared = content.get("imageHeight"), content.get("imageWidth")
    if None not in declared:
        reject_other_size(declared, size)
    objects = _Objects()
    for shape in content["shapes"]:
        if not isinstance(shape, dict):
            raise PromptError("a shape must be an object with points")
        if shape.get("shape_type") in WITHOUT_AREA:
            objects.skipped[str(shape["shape_type"])] += 1
        else:
            objects.add(shape, _mark(shape, size))
    if objects.skipped and not objects.marks:
        kind = next(iter(objects.skipped))
        raise PromptError(
            f"unsupported shape type {kind!r}; use polygon, rectangle, circle or mask"
        )
    drawn_on = content.get("imagePath")
    name = PureWindowsPath(drawn_on).stem if isinstance(drawn_on, str) and drawn_on else None
    return MarkedFrame(
        path.stem,
        path,
        KIND,
        objects.marks,
        objects.notes(),
        also_named=None if name == path.stem else name,
    )


@dataclass
class _Objects:
    """The marks of a file by label, and how shapes became objects."""

    marks: dict[Label, MaskArray | Box] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    joined: Counter[Label] = field(default_factory=Counter)
    apart: Counter[str] = field(default_factory=Counter)
    """Shapes of a label without a group."""

    def add(self, shape: Mapping[str, Any], mark: MaskArray | Box) -> None:
        """Add a shape as an object, or as a part of one."""
        text = _text(shape.get("label"))
        number = signed_number(text)
        group = shape.get("group_id")
        if number is not None and abs(number) < BEYOND:
            self._join(number, mark)
        elif group is not None:
            self._join(f"{text} {shortened(group)}", mark)
        else:
            self.apart[text] += 1
            count = self.apart[text]
            self._join(text if count == 1 else f"{text} ({count})", mark)

    def _join(self, label: Label, mark: MaskArray | Box) -> None:
        before = self.marks.get(label)
        if before is None:
            self.marks[label] = mark
            return
        if isinstance(before, Box) or isinstance(mark, Box):
            raise PromptError(f"object {label} has a rectangle and another shape; keep one kind")
        self.marks[label] = before | mark
        self.joined[label] += 1

    def notes(self) -> list[str]:
        """Return lines for the report."""
        notes = [
            f"{count + 1} shapes of {label} are parts of one object"
            for label, count in self.joined.items()
        ]
        notes += [
            f"{count} shapes of {text} are objects of their own; a group_id joins them"
            for text, count in self.apart.items()
            if count > 1
        ]
        if self.skipped:
            shown = ", ".join(f"{count} of type {kind}" for kind, count in self.skipped.items())
            notes.append(f"shapes without an area are skipped: {shown}")
        return notes


def _text(label: Any) -> str:
    text = "" if label is None else str(label).strip()
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if signed_number(clean) is not None else shortened(clean, 80) or "unnamed"


def _mark(shape: Mapping[str, Any], size: tuple[int, int]) -> MaskArray | Box:
    kind = shape.get("shape_type") or "polygon"
    points = shape.get("points")
    if not _are_points(points):
        raise PromptError("a shape has no list of points [x, y]")
    assert isinstance(points, list)
    if kind in POLYGONS or (kind == "rectangle" and _is_turned(points)):
        return fill([[value for point in points for value in point]], size)
    if kind == "rectangle" and len(points) in (2, CORNERS):
        (left, *_, right), (top, *_, bottom) = (sorted(side) for side in zip(*points, strict=True))
        return box_within([left, top, right - left, bottom - top], size)
    if kind == "circle" and len(points) == 2:
        return _disc(points[0], points[1], size)
    if kind == "mask" and len(points) == 2:
        return _pasted(shape.get("mask"), points[0], size)
    raise PromptError(
        f"unsupported shape type {shortened(kind)!r}; use polygon, rectangle, circle or mask"
    )


def _is_turned(points: Sequence[Sequence[float]]) -> bool:
    """Return whether four corners are those of a rectangle that is not parallel to the axes."""
    xs, ys = ({*side} for side in zip(*points, strict=True)) if points else (set(), set())
    return len(points) == CORNERS and (len(xs) != 2 or len(ys) != 2)


def _are_points(points: Any) -> bool:
    return isinstance(points, list) and all(
        isinstance(point, list)
        and len(point) == 2
        and all(type(value) in (int, float) and -1e6 < value < 1e6 for value in point)
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
    except (binascii.Error, DataError, ValueError) as error:
        raise PromptError(f"a mask is damaged: {error}") from error
    mask = np.zeros(size, dtype=bool)
    left, top = round(corner[0]), round(corner[1])
    if left < 0 or top < 0:
        raise PromptError("a mask starts outside the frame")
    window = mask[top : top + patch.shape[0], left : left + patch.shape[1]]
    window[:] = patch[: window.shape[0], : window.shape[1]]
    return mask
