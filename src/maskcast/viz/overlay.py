"""Paint objects over their frame: a tint, a contour, and the id; list absent ones in a corner.

picture     height × width × 3   RGB, 8 bits
label_map   height × width       ids; 0 is background
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Bool, Integer, UInt8
from PIL import Image, ImageDraw, ImageFont

from maskcast.core.palette import Colour, colour_of

NOTHING: Mapping[int, Any] = MappingProxyType({})
"""No colours or names."""
TINT = 0.45
"""Opacity of an object's colour, 0..1."""
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
    colours: Mapping[int, Colour] = NOTHING,
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
        colours: colours of objects by id; others have those of the palette.
        names: names of objects by id.
    """
    inside = label_map != 0
    distinct, slots = np.unique(label_map[inside], return_inverse=True)
    bright = [colours.get(i) or _bright(i) for i in distinct.tolist()]
    shades = np.array(bright, dtype=np.uint16).reshape(-1, 3)
    share = round(tint * 256)
    painted = picture.copy()
    painted[inside] = (picture[inside] * np.uint16(256 - share) + shades[slots] * share) >> 8
    if contours:
        full = np.zeros_like(picture)
        full[inside] = shades[slots]
        _draw_contours(painted, label_map, full)
    if ids:
        _write_names(painted, label_map, {i: names.get(i, str(i)) for i in distinct.tolist()})
    if absent:
        _list_absent(painted, absent, colours)
    return painted


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


def _bright(object_id: int) -> tuple[int, ...]:
    """Return a lighter version of an object's colour, so that the tint is visible on dark areas."""
    return tuple(min(value * 3 // 2 + 48, 255) for value in colour_of(object_id))


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


def _list_absent(
    painted: UInt8[np.ndarray, "height width 3"],
    absent: Sequence[int],
    colours: Mapping[int, Colour],
) -> None:
    """Write ``absent: 2 5`` on a dark plate in the top left corner, each id above its colour.

    Ids that do not fit are counted.
    """
    height, width, _ = painted.shape
    font_size = max(11, round(min(height, width) / 24))
    font = ImageFont.load_default(font_size)
    margin, gap = font_size // 3, font_size // 2

    def texts(count: int) -> list[str]:
        others = [f"+{len(absent) - count}"] if count < len(absent) else []
        return ["absent:", *map(str, absent[:count]), *others]

    def length(count: int) -> float:
        return float(sum(font.getlength(text) + gap for text in texts(count)) - gap)

    count = len(absent)
    while count > 0 and length(count) > width - 4 * margin:
        count -= 1
    right = round(length(count)) + 3 * margin
    plate = painted[margin : font_size + 4 * margin, margin:right]
    plate //= 4
    image = Image.fromarray(plate)
    canvas = ImageDraw.Draw(image)
    x, bottom = margin, plate.shape[0]
    for index, text in enumerate(texts(count)):
        end = x + round(font.getlength(text))
        canvas.text((x, bottom / 2), text, fill="white", font=font, anchor="lm")
        if 1 <= index <= count:
            line = [x, bottom - margin, end - 1, bottom - max(1, margin // 2)]
            shade = colours.get(absent[index - 1]) or _bright(absent[index - 1])
            canvas.rectangle(line, fill=shade)
        x = end + gap
    plate[:] = np.asarray(image)


def _middle(mask: Bool[np.ndarray, "height width"]) -> tuple[int, int]:
    """Return the pixel (x, y) of the mask that is nearest to its centroid."""
    rows, columns = np.nonzero(mask)
    nearest = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return int(columns[nearest]), int(rows[nearest])
