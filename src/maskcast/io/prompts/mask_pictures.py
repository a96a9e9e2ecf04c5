"""Read masks painted in pictures: indexed, 8- or 16-bit grey, or flat colours.

Meaning of the values:

    indexed, with the palette   object id; also colours in a PNG marked as such (io.label_maps), and
    of a label map              16-bit grey
    indexed, other palettes     as colours
    8-bit grey                  object id; but {0, 1} and {0, 255}, in 16 bits {0, 65535}, are one
                                object with id 1
    colours                     one object per colour; black or transparent pixels are background
    soft edges                  given to the nearer of the two flat levels beside them (soft_edges)
    other soft masks, JPEG      rejected

With a threshold every picture is one object, except label maps that say what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from maskcast.core.arrays import MaskArray
from maskcast.core.errors import DataError, PromptError, UsageError
from maskcast.core.palette import PALETTE
from maskcast.io.label_maps import has_ids_in_colours, ids_of_colours
from maskcast.io.pictures import bits_per_channel, is_lossy, open_picture, upright
from maskcast.io.prompts.marked_frame import Label, MarkedFrame
from maskcast.io.prompts.noise import has_noise
from maskcast.io.prompts.palettes import is_grey, palette_table, values_are_ids
from maskcast.io.prompts.soft_edges import Settled, interpolated_pixels, settle_edges

MOST_VALUES = 32
"""Maximum number of grey values or colours of a painted mask; more come from soft edges."""
MOST_IDS = 1024
"""Maximum number of objects on a frame; pictures of depth or probabilities have far more values."""
WHITE = 65535
"""The 16-bit grey value of white."""
SIXTEEN_BITS = 257
"""Ratio of a 16-bit grey value to the 8-bit value of the same brightness."""

READ_AS_ONE_OBJECT = "set mask_threshold, to 128 for instance, to read it as one object"

ENDINGS = (".png", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".jpg", ".jpeg")

Values: TypeAlias = Int[np.ndarray, "height width"]
Grey: TypeAlias = UInt8[np.ndarray, "height width"]
RGBA: TypeAlias = UInt8[np.ndarray, "height width 4"]


IDS_OF_COLOURS = {f"#{r:02x}{g:02x}{b:02x}": i for i, (r, g, b) in enumerate(PALETTE) if i}
"""Object id of each colour of the palette."""


def read_mask_picture(
    path: Path, mask_threshold: int | None = None, *, is_copy: bool = False
) -> MarkedFrame:
    """Read the masks painted in a picture.

    Args:
        path: the picture.
        mask_threshold: lowest value (1..255) of the alpha channel, or else of the grey, that
            belongs to the object, for pictures with soft edges, which mark a single object, id 1.
        is_copy: whether the picture is a painted copy of a label map of this package. A colour of
            the palette then keeps its id, and other colours are objects that were added.

    Raises:
        MissingFileError: the file does not exist.
        PromptError: the file is not a picture; or has soft edges or is a JPEG, without a threshold;
            or has more than ``MOST_IDS`` values, or several pages.
        UsageError: the threshold is out of range.
    """
    if mask_threshold is not None and not 1 <= mask_threshold <= 255:
        raise UsageError(
            f"mask_threshold must be in [1, 255], got {mask_threshold}",
            options=("mask_threshold",),
        )
    try:
        picture = open_picture(path, one_page=True)
    except DataError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise PromptError(error.summary) from error
    if mask_threshold is None:
        _reject_changed_values(path, picture)
    picture = upright(picture)
    if picture.mode == "F":
        raise PromptError(
            f"{path} has floating-point values instead of object ids; save it as an indexed or "
            "grey PNG"
        )
    if is_copy and _shows_ids_by_colours(picture):
        rgba = np.asarray(picture.convert("RGBA"))
        return _with_ids(_from_colours(path, "flat colours", rgba, may_be_grey=False))
    frame = _from_picture(path, picture, mask_threshold)
    return _with_ids(frame) if is_copy else frame


def _reject_changed_values(path: Path, picture: Image.Image) -> None:
    """Reject a picture whose values are not those that were painted."""
    if is_lossy(path, picture):
        kind = "JPEG" if picture.format in ("JPEG", "MPO") else f"{picture.format} with losses"
        raise PromptError(
            f"{path} is a {kind}, whose compression changes the values; save the mask as PNG, or "
            f"{READ_AS_ONE_OBJECT}",
            options=("mask_threshold",),
        )
    if picture.mode not in ("RGB", "RGBA", "LA") or bits_per_channel(path, picture) != 16:
        return
    rgb = np.asarray(picture.convert("RGB"))
    is_in_grey = bool((rgb[..., :2] == rgb[..., 1:]).all())
    if is_in_grey and not {*np.unique(rgb).tolist()} == {0, 255}:
        raise PromptError(
            f"{path} has grey values in 16-bit colours, of which only the upper 8 bits are read; "
            "save it in 8 bits per channel, or as 16-bit grey"
        )


def _shows_ids_by_colours(picture: Image.Image) -> bool:
    """Return whether the colours of a copy of a label map decide, not its values."""
    if picture.mode == "P":
        return not values_are_ids(np.unique(np.asarray(picture)), *palette_table(picture))
    return picture.mode in ("RGB", "RGBA") and not has_ids_in_colours(picture)


def _with_ids(frame: MarkedFrame) -> MarkedFrame:
    """Return a frame in which the colours of the palette are ids."""
    marks = {IDS_OF_COLOURS.get(str(label), label): mark for label, mark in frame.marks.items()}
    if set(marks) == set(frame.marks):
        return frame
    return replace(frame, kind="colours of a label map", marks=marks)


def _from_picture(path: Path, picture: Image.Image, threshold: int | None) -> MarkedFrame:
    if has_ids_in_colours(picture):
        return _marked(path, "ids in colours", _by_value(path, ids_of_colours(picture)))
    if picture.mode == "P":
        return _from_indexed(path, picture, threshold)
    if threshold is not None:
        return _cut_at(path, picture, threshold)
    return _from_values(path, picture)


def _from_values(path: Path, picture: Image.Image) -> MarkedFrame:
    if picture.mode.startswith("I"):
        return _from_16_bits(path, np.asarray(picture).astype(np.int64))
    if picture.mode == "1":
        return _marked(path, "black and white", _one_object(np.asarray(picture)))
    if picture.mode == "L":
        return _from_grey(path, "8-bit grey", np.asarray(picture))
    return _from_colours(path, "flat colours", np.asarray(picture.convert("RGBA")))


def _marked(
    path: Path, kind: str, marks: Mapping[Label, MaskArray], *notes: str | None
) -> MarkedFrame:
    said = [note for note in notes if note is not None]
    return MarkedFrame(path.stem, path, kind, dict(marks), said)


def _by_value(path: Path, values: Values) -> dict[Label, MaskArray]:
    distinct = np.unique(values)
    if len(distinct) > MOST_IDS:
        raise PromptError(
            f"{path} has {len(distinct)} different values, too many to be object ids; if its edges "
            f"are soft, {READ_AS_ONE_OBJECT}",
            options=("mask_threshold",),
        )
    return {int(value): values == value for value in distinct if value != 0}


def _one_object(mask: MaskArray) -> dict[Label, MaskArray]:
    return {1: mask.copy()} if mask.any() else {}


def _cut_at(path: Path, picture: Image.Image, threshold: int) -> MarkedFrame:
    what = "grey"
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.float64) / SIXTEEN_BITS
    else:
        rgba = picture.convert("RGBA")
        values = np.asarray(rgba.getchannel("A"))
        if values.min() == values.max():
            values = np.asarray(picture.convert("L"))
        else:
            what = "alpha"
    return _marked(
        path,
        what,
        _one_object(np.asarray(values >= threshold)),
        f"{what} values from {threshold} on are one object, id 1",
    )


def _from_16_bits(path: Path, values: Values) -> MarkedFrame:
    distinct, codes = np.unique(values, return_inverse=True)
    if len(distinct) <= MOST_IDS:
        levels = distinct[:, None] * (255 / max(1, int(distinct[-1])))
        if settle_edges(codes.reshape(values.shape), levels).moved:
            raise _soft(path, f"its {len(distinct)} values are soft edges, not object ids")
    if {*distinct.tolist()} == {0, WHITE}:
        note = f"its only value {WHITE} is one object, id 1"
        return _marked(path, "16-bit grey", _one_object(values > 0), note)
    return _marked(path, "16-bit grey", _by_value(path, values), no_background(values))


def _from_indexed(path: Path, picture: Image.Image, threshold: int | None) -> MarkedFrame:
    values = np.asarray(picture).astype(np.int64)
    table, defined = palette_table(picture)
    used = np.unique(values)
    if not values_are_ids(used, table, defined):
        if threshold is not None:
            return _cut_at(path, picture, threshold)
        return _from_palette(path, values, table, used)
    grey = is_grey(used, table)
    if grey and threshold is not None:
        return _cut_at(path, picture, threshold)
    if grey and _settle_grey(values).moved:
        return _from_grey(path, "indexed in grey", values.astype(np.uint8))
    note = None if threshold is None else "its values are ids, so the threshold does not apply"
    return _marked(path, "indexed", _by_value(path, values), note)


def _from_palette(
    path: Path,
    values: Values,
    table: UInt8[np.ndarray, "256 4"],
    used: Int[np.ndarray, " used"],
) -> MarkedFrame:
    """Read an indexed picture by its colours; in doubt the values decide how they are numbered."""
    shown = table[used]
    see_through = shown[:, 3] == 0
    black = (shown[:, :3] == 0).all(axis=1)
    if not see_through.any() and not black.any():
        raise PromptError(
            f"{path} has a palette without black or transparent background, and its values are not "
            "those of a label map; paint the background black"
        )
    if len(np.unique(shown[~see_through], axis=0)) < len(shown[~see_through]):
        raise PromptError(
            f"{path} has a palette that gives several values the same colour; save it with one "
            "colour per object, or as a grey picture"
        )
    frame = _from_colours(path, "indexed, read by its colours", table[values])
    if see_through[0] or (black[0] and used[0] == 0):
        numbered = {_text(colour): int(value) for value, colour in zip(used, shown, strict=True)}
        frame.suggested.update(
            {label: value for label, value in numbered.items() if value and label in frame.marks}
        )
    return frame


def _settle_grey(values: Values | Grey) -> Settled:
    levels, codes = np.unique(values, return_inverse=True)
    return settle_edges(codes.reshape(values.shape), levels[:, None].astype(np.float64))


def _from_grey(path: Path, kind: str, grey: Grey) -> MarkedFrame:
    levels = np.unique(grey)
    settled = _settle_grey(grey)
    codes = np.searchsorted(levels, grey)
    if not settled.moved and interpolated_pixels(codes, levels.astype(np.int64)):
        raise _soft(
            path, "its ids were mixed by resizing; resize label maps with nearest neighbour"
        )
    if settled.unclear:
        raise _soft(path, f"some of its {len(levels)} grey values belong to no object")
    grey, note = levels[settled.codes], _edge_note(settled)
    values = {int(value) for value in np.unique(grey)}
    if values <= {0, 1} or values <= {0, 255}:
        only = f"its only value {max(values)} is one object, id 1"
        return _marked(path, kind, _one_object(grey > 0), only, note)
    if len(values) > MOST_VALUES:
        raise PromptError(
            f"{path} has {len(values)} grey values, too many to be object ids, so its edges are "
            f"soft; {READ_AS_ONE_OBJECT}",
            options=("mask_threshold",),
        )
    if has_noise(settled, levels[:, None].astype(np.float64)):
        raise _noisy(path, f"{len(levels)} grey values")
    marks = _by_value(path, grey.astype(np.int64))
    return _marked(path, kind, marks, "its grey values are ids", no_background(grey), note)


def _from_colours(path: Path, kind: str, rgba: RGBA, *, may_be_grey: bool = True) -> MarkedFrame:
    if may_be_grey and (rgba[..., 3] == 255).all() and (rgba[..., :2] == rgba[..., 1:3]).all():
        return _from_grey(path, "grey stored as colours", rgba[..., 0])
    packed = np.where(rgba[..., 3] == 0, 0, rgba.astype(np.int64) @ _PACK)
    packed_levels, first_pixel, codes = np.unique(packed, return_index=True, return_inverse=True)
    levels = (packed_levels[:, None] // _PACK % 256).astype(np.uint8)
    settled = settle_edges(codes.reshape(packed.shape), _premultiplied(levels))
    kept = np.unique(settled.codes)
    too_many = len(kept) > MOST_VALUES + 1 and not {*map(_text, levels[kept])} <= _PALETTE
    if settled.unclear or too_many or _half_seen(levels[kept]).any():
        what = "half-transparent pixels" if _half_seen(levels).any() else f"{len(levels)} colours"
        raise PromptError(
            f"{path} has {what}, so it is a photograph or has soft edges; paint each object in one "
            f"flat colour, or {READ_AS_ONE_OBJECT}",
            options=("mask_threshold",),
        )
    if has_noise(settled, levels.astype(np.float64)):
        raise _noisy(path, f"{len(levels)} colours")
    see_through = levels[:, 3] == 0
    background = see_through if see_through.any() else (levels[:, :3] == 0).all(axis=1)
    if may_be_grey and not background[kept].any() and not {*map(_text, levels[kept])} <= _PALETTE:
        raise PromptError(
            f"{path} has no black or transparent background, so that each of its colours would be "
            "an object; paint the background black"
        )
    in_order = sorted(kept[~background[kept]], key=lambda code: int(first_pixel[code]))
    marks: dict[Label, MaskArray] = {
        _text(levels[code]): settled.codes == code for code in in_order
    }
    return _marked(path, kind, marks, _edge_note(settled))


_PALETTE = {"#000000", *IDS_OF_COLOURS}
_PACK = np.array([1 << 16, 1 << 8, 1, 1 << 24])
"""Weights of red, green, blue and alpha in one integer per colour."""


def _premultiplied(levels: UInt8[np.ndarray, "levels 4"]) -> np.ndarray:
    """Return colours in which a half-transparent one lies between its opaque one and none."""
    colours = levels.astype(np.float64)
    colours[:, :3] *= colours[:, 3:] / 255
    return colours


def _half_seen(levels: UInt8[np.ndarray, "levels 4"]) -> np.ndarray:
    return np.asarray((levels[:, 3] != 0) & (levels[:, 3] != 255))


def _text(colour: UInt8[np.ndarray, "4"]) -> str:
    return "#" + bytes(colour[:3]).hex()


def no_background(values: Values | Grey) -> str | None:
    """Return a note if no value is 0, which is the background."""
    return None if (values == 0).any() else "no pixel is background, which has the value 0"


def _edge_note(settled: Settled) -> str | None:
    if not settled.moved:
        return None
    return (
        f"{settled.moved} pixels of {settled.levels} levels on soft edges go to the nearer of the "
        "two flat levels beside them"
    )


def _noisy(path: Path, what: str) -> PromptError:
    return PromptError(
        f"{path} has {what}, some of which differ too little to be painted, as after JPEG "
        f"compression; save the mask as PNG when you draw it, or {READ_AS_ONE_OBJECT}",
        options=("mask_threshold",),
    )


def _soft(path: Path, what: str) -> PromptError:
    return PromptError(
        f"{path} has soft edges: {what}; {READ_AS_ONE_OBJECT}", options=("mask_threshold",)
    )
