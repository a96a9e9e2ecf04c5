"""Decide whether the values of an indexed picture are object ids, by its palette.

The order of a palette means nothing to most programs: they sort it by use or brightness, or make a
new one for every picture. Values are ids only if the colours are those that label maps have.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Integer, UInt8
from PIL import Image

from maskcast.core.palette import DAVIS_COLOURS, PALETTE, Colour

SIZE = 256


def palette_table(picture: Image.Image) -> tuple[UInt8[np.ndarray, "256 4"], int]:
    """Return the colour (RGBA) of each value of an indexed picture, and how many are defined."""
    colours = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)[:SIZE]
    table = np.zeros((SIZE, 4), np.uint8)
    table[:, 3] = 255
    table[: len(colours), :3] = colours
    transparency = picture.info.get("transparency")
    if isinstance(transparency, bytes):
        table[: len(transparency), 3] = np.frombuffer(transparency[:SIZE], np.uint8)
    elif isinstance(transparency, int) and 0 <= transparency < SIZE:
        table[transparency, 3] = 0
    return table, len(colours)


def values_are_ids(
    used: Integer[np.ndarray, " used"], table: UInt8[np.ndarray, "256 4"], defined: int
) -> bool:
    """Return whether the colour of every used value is that of a label map, or its own grey.

    Label maps have the colours of this package, of VOC or of DAVIS. Values without a colour are
    ignored, and a palette that is all black does not count.
    """
    shown = [(int(v), tuple(map(int, table[v, :3]))) for v in used if v < defined]
    opaque = all(table[value, 3] == 255 for value, _ in shown if value)
    if all(colour == (0, 0, 0) for _, colour in shown):
        return True
    return opaque and (
        all(colour in _label_colours(value) for value, colour in shown) or is_grey(used, table)
    )


def is_grey(used: Integer[np.ndarray, " used"], table: UInt8[np.ndarray, "256 4"]) -> bool:
    """Return whether the colour of every used value is the grey of that value."""
    return bool((table[used, :3] == np.asarray(used)[:, None]).all())


def _label_colours(value: int) -> set[Colour]:
    ours = PALETTE[value]
    voc: Colour = tuple(192 if channel == 191 else channel for channel in ours)  # type: ignore[assignment]
    davis = (value, value, value) if value >= DAVIS_COLOURS else ours
    return {ours, voc, davis}
