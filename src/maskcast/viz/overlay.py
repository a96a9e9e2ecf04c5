"""Paint objects over their frame: a tint, a contour, and the id; list absent ones in a corner.

picture     height × width × 3   RGB, 8 bits
label_map   height × width       ids; 0 is background
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Integer, UInt8
from PIL import Image, ImageDraw, ImageFont

from maskcast.core.palette import SHOWN, Colour, hatching_of, shown_colour_of

NOTHING: Mapping[int, Any] = MappingProxyType({})
"""No colours or names."""
TINT = 0.45
"""Opacity of an object's colour, 0..1."""
LEAST_DIFFERENCE = 100
"""Sum of the differences of red, green and blue, 0..255 each, from which two colours differ."""
CornerWord: TypeAlias = tuple[str, Sequence[int] | None]
"""A word in the corner, and the colour of the line below it."""
SMALLEST_LABELLED = 0.0004
"""Smallest object whose id is written on it, as a share of the frame."""


def draw_overlay(
    picture: UInt8[np.ndarray, "height width 3"],
    label_map: Integer[np.ndarray, "height width"],
    *,
    absent: Sequence[int] = (),
    tint: float = TINT,
    contours: bool = True,
    ids: bool = True,
    listed: bool = False,
    colours: Mapping[int, Sequence[int]] = NOTHING,
    names: Mapping[int, str] = NOTHING,
) -> UInt8[np.ndarray, "height width 3"]:
    """Paint every object in its colour.

    Args:
        picture: the frame, which is not modified.
        label_map: object ids of the pixels.
        absent: ids of the tracked objects that are not on the frame, for the top left corner.
        tint: opacity of an object's colour, 0..1.
        contours: whether to draw the edge of each object in full colour with a dark outline.
        ids: whether to write the name or id of each object on it.
        listed: whether to write them in the top left corner instead, before the absent ones.
        colours: colours of objects by id; others have those of the palette.
        names: names of objects by id.
    """
    inside = label_map != 0
    distinct, slots = np.unique(label_map[inside], return_inverse=True)
    shades = np.array([_shade(i, colours) for i in distinct.tolist()], np.uint16).reshape(-1, 3)
    share = round(tint * 256)
    painted = picture.copy()
    painted[inside] = (picture[inside] * np.uint16(256 - share) + shades[slots] * share) >> 8
    full = np.zeros_like(picture)
    full[inside] = shades[slots]
    times = np.array([hatching_of(i) for i in distinct.tolist()], dtype=np.int8)
    if tint and times.any():
        hatched = np.zeros(label_map.shape, dtype=np.int8)
        hatched[inside] = times[slots]
        lines = _hatching(hatched)
        painted[lines] = full[lines]
    if contours:
        _draw_contours(painted, label_map, full)
    if ids and not listed:
        _write_names(painted, label_map, {i: names.get(i, str(i)) for i in distinct.tolist()})
    shown = distinct.tolist() if listed else []
    if shown or absent:
        entries: list[CornerWord] = [(names.get(i, str(i)), _shade(i, colours)) for i in shown]
        entries += [("absent:", None)] if absent else []
        _list_in_corner(painted, entries + [(str(i), _shade(i, colours)) for i in absent])
    return painted


def distinct_colours(
    ids: Iterable[int], chosen: Mapping[int, Colour]
) -> dict[int, tuple[int, ...]]:
    """Return a colour for each object; those of neighbouring ids are never alike.

    Args:
        ids: ids of all objects.
        chosen: colours that a person gave, which stay. Other objects take colours of the palette
            that are unlike those chosen, and unlike that of the object with the next lower id.
    """
    colours: dict[int, tuple[int, ...]] = dict(chosen)
    before: list[tuple[int, ...]] = []
    for object_id in sorted(ids):
        taken = [*chosen.values(), *before]
        options = [shown_colour_of(object_id + more) for more in range(len(SHOWN))]
        unlike = [
            shade
            for others in (taken, before)
            for shade in options
            if not any(_alike(shade, other) for other in others)
        ]
        colours.setdefault(object_id, unlike[0])
        before = [colours[object_id]]
    return colours


def _alike(one: Sequence[int], other: Sequence[int]) -> bool:
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) < LEAST_DIFFERENCE


def contour_of(
    label_map: Integer[np.ndarray, "height width"], thickness: int = 1
) -> Bool[np.ndarray, "height width"]:
    """Return the object pixels within ``thickness`` pixels, along an axis, of another label."""
    edge: np.ndarray = np.zeros(label_map.shape, dtype=bool)
    for shift in range(1, thickness + 1):
        rows = label_map[shift:] != label_map[:-shift]
        columns = label_map[:, shift:] != label_map[:, :-shift]
        edge[shift:] |= rows
        edge[:-shift] |= rows
        edge[:, shift:] |= columns
        edge[:, :-shift] |= columns
    edge &= label_map != 0
    return edge


def _draw_contours(
    painted: UInt8[np.ndarray, "height width 3"],
    label_map: Integer[np.ndarray, "height width"],
    colours: UInt8[np.ndarray, "height width 3"],
) -> None:
    thickness = max(1, round(min(label_map.shape) / 360))
    inner = contour_of(label_map, thickness)
    outer = contour_of((label_map == 0).astype(np.int32), thickness)
    painted[outer] //= 2  # a dark outline keeps it visible on a background of the same colour
    painted[inner] = colours[inner]


def _shade(object_id: int, colours: Mapping[int, Sequence[int]]) -> Sequence[int]:
    return colours.get(object_id) or shown_colour_of(object_id)


def _hatching(times: Integer[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Return the pixels on the lines of areas hatched once or twice, in one or both directions."""
    height, width = times.shape
    step = 8 * max(1, round(min(height, width) / 360))
    rows, columns = np.ogrid[:height, :width]
    down, up = (rows + columns) % step < step // 4, (columns - rows) % step < step // 4
    lines: Bool[np.ndarray, "height width"] = (times > 0) & (down | (up & (times == 2)))
    return lines


def _write_names(
    painted: UInt8[np.ndarray, "height width 3"],
    label_map: Integer[np.ndarray, "height width"],
    names: Mapping[int, str],
) -> None:
    font_size = max(11, round(min(label_map.shape) / 18))
    font = ImageFont.load_default(font_size)
    image = Image.fromarray(painted)
    canvas = ImageDraw.Draw(image)
    for object_id, name in names.items():
        mask = label_map == object_id
        if mask.sum() >= SMALLEST_LABELLED * mask.size:
            canvas.text(
                _middle(mask), name, fill="white", font=font, anchor="mm",
                stroke_width=max(1, font_size // 9), stroke_fill="black",
            )  # fmt: skip
    painted[:] = np.asarray(image)


def _list_in_corner(
    painted: UInt8[np.ndarray, "height width 3"], entries: Sequence[CornerWord]
) -> None:
    """Write words such as ``absent: 2 5`` on a dark plate in the top left corner.

    Words that do not fit are counted.
    """
    height, width, _ = painted.shape
    font_size = max(11, round(min(height, width) / 24))
    font = ImageFont.load_default(font_size)
    margin, gap = font_size // 3, font_size // 2

    def fitting(count: int) -> list[CornerWord]:
        others: list[CornerWord] = (
            [(f"+{len(entries) - count}", None)] if count < len(entries) else []
        )
        return [*entries[:count], *others]

    def length(count: int) -> float:
        return float(sum(font.getlength(text) + gap for text, _ in fitting(count)) - gap)

    count = len(entries)
    while count > 0 and length(count) > width - 4 * margin:
        count -= 1
    right = round(length(count)) + 3 * margin
    plate = painted[margin : font_size + 4 * margin, margin:right]
    plate //= 4
    image = Image.fromarray(plate)
    canvas = ImageDraw.Draw(image)
    x, bottom = margin, plate.shape[0]
    for text, shade in fitting(count):
        end = x + round(font.getlength(text))
        canvas.text((x, bottom / 2), text, fill="white", font=font, anchor="lm")
        if shade is not None:
            line = [x, bottom - margin, end - 1, bottom - max(1, margin // 2)]
            canvas.rectangle(line, fill=tuple(shade))
        x = end + gap
    plate[:] = np.asarray(image)


def _middle(mask: Bool[np.ndarray, "height width"]) -> tuple[int, int]:
    """Return the pixel (x, y) of the mask that is nearest to its centroid."""
    rows, columns = np.nonzero(mask)
    nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return int(columns[nearest]), int(rows[nearest])
