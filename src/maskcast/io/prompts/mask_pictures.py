"""Read masks painted in pictures: indexed, 8- or 16-bit grey, or flat colours.

Meaning of the values:

    indexed, 16-bit grey        object id; also colours in a PNG marked as such (io.label_maps)
    8-bit grey                  object id; but {0, 1} and {0, 255} are one object with id 1
    colours                     one object per colour; black or transparent pixels are background.
                                In a copy of a label map, colours of the palette are their ids
    more than 32 grey values    rejected, because soft edges are not ids
    or colours, JPEG
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int, Int64, UInt8
from PIL import Image

from maskcast.core.arrays import MaskArray
from maskcast.core.errors import DataError, PromptError, UsageError
from maskcast.core.palette import PALETTE
from maskcast.io.label_maps import has_ids_in_colours, ids_of_colours
from maskcast.io.pictures import open_picture
from maskcast.io.prompts.marked_frame import Label, MarkedFrame

MOST_VALUES = 32
"""Maximum number of grey values or colours of a painted mask; more come from soft edges."""
MOST_IDS = 1024
"""Maximum number of objects on a frame; pictures of depth or probabilities have far more values."""

READ_AS_ONE_OBJECT = "set mask_threshold, to 128 for instance, to read it as one object"

IDS_OF_COLOURS = {red << 16 | green << 8 | blue: i for i, (red, green, blue) in enumerate(PALETTE)}
"""Object id of each colour of the palette."""

ENDINGS = (".png", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".jpg", ".jpeg")


def read_mask_picture(
    path: Path, mask_threshold: int | None = None, *, is_copy: bool = False
) -> MarkedFrame:
    """Read the masks painted in a picture.

    Args:
        path: the picture.
        mask_threshold: lowest grey value (1..255) that belongs to the object, for 8-bit pictures
            with soft edges, which mark a single object, id 1.
        is_copy: whether the picture is a painted copy of a label map of this package. Its colours
            then decide, since programs reorder a palette or save colours: a colour of the palette
            keeps its id, and other colours are objects that were added.

    Raises:
        MissingFileError: the file does not exist.
        PromptError: the file is not a picture; or has soft edges or is a JPEG, without a threshold;
            or has more than ``MOST_IDS`` values.
        UsageError: the threshold is out of range.
    """
    if mask_threshold is not None and not 1 <= mask_threshold <= 255:
        raise UsageError(
            f"mask_threshold must be in [1, 255], got {mask_threshold}",
            options=("mask_threshold",),
        )
    try:
        picture = open_picture(path)
    except DataError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise PromptError(error.summary) from error
    if picture.mode == "F":
        raise PromptError(
            f"{path} has floating-point values instead of object ids; save it as an indexed or "
            "grey PNG"
        )
    if (marked := _from_ids(path, picture, is_copy=is_copy)) is not None:
        return marked
    if picture.mode == "1":
        return _marked(path, "black and white", _one_object(np.asarray(picture)))
    if mask_threshold is not None:
        return _cut_at(path, picture, mask_threshold)
    if picture.format in ("JPEG", "MPO"):
        raise PromptError(
            f"{path} is a JPEG, whose compression changes the values; save the mask as PNG, or "
            f"{READ_AS_ONE_OBJECT}",
            options=("mask_threshold",),
        )
    if picture.mode == "L":
        return _from_grey(path, "8-bit grey", np.asarray(picture))
    return _from_colours(path, np.asarray(picture.convert("RGBA")), keeps_ids=is_copy)


def _from_ids(path: Path, picture: Image.Image, *, is_copy: bool) -> MarkedFrame | None:
    """Read a picture whose values are ids; None if they have to be interpreted."""
    if has_ids_in_colours(picture):
        return _marked(path, "ids in colours", _by_value(path, ids_of_colours(picture)))
    if is_copy and picture.mode in ("P", "RGB", "RGBA"):
        ids = _ids_by_palette(np.asarray(picture.convert("RGBA")))
        if ids is not None:
            return _marked(path, "colours of a label map", _by_value(path, ids))
    if picture.mode == "P" or picture.mode.startswith("I"):
        kind = "indexed" if picture.mode == "P" else "16-bit grey"
        return _marked(path, kind, _by_value(path, np.asarray(picture).astype(np.int64)))
    return None


def _marked(
    path: Path, kind: str, marks: dict[Label, MaskArray], note: str | None = None
) -> MarkedFrame:
    return MarkedFrame(path.stem, path, kind, dict(marks), [] if note is None else [note])


def _by_value(path: Path, values: Int[np.ndarray, "height width"]) -> dict[Label, MaskArray]:
    distinct = np.unique(values)
    if len(distinct) > MOST_IDS:
        raise PromptError(
            f"{path} has {len(distinct)} different values, too many to be object ids; if its edges "
            f"are soft, save it in 8 bits and {READ_AS_ONE_OBJECT}",
            options=("mask_threshold",),
        )
    return {int(value): values == value for value in distinct if value != 0}


def _ids_by_palette(
    rgba: UInt8[np.ndarray, "height width 4"],
) -> Int64[np.ndarray, "height width"] | None:
    """Return the ids of a picture in which every colour belongs to the palette, else None."""
    colours = _packed(rgba)
    colours[rgba[..., 3] == 0] = 0
    distinct, indices = np.unique(colours, return_inverse=True)
    if not set(distinct.tolist()) <= set(IDS_OF_COLOURS):
        return None
    ids = np.array([IDS_OF_COLOURS[colour] for colour in distinct.tolist()], dtype=np.int64)
    return ids[indices].reshape(colours.shape)


def _packed(rgba: UInt8[np.ndarray, "height width 4"]) -> Int64[np.ndarray, "height width"]:
    """Return each pixel's red, green and blue in one number."""
    red, green, blue = (rgba[..., channel].astype(np.int64) for channel in range(3))
    return red << 16 | green << 8 | blue


def _one_object(mask: MaskArray) -> dict[Label, MaskArray]:
    return {1: mask} if mask.any() else {}


def _cut_at(path: Path, picture: Image.Image, threshold: int) -> MarkedFrame:
    mask = np.asarray(picture.convert("L")) >= threshold
    return _marked(
        path, "grey", _one_object(mask), f"grey values from {threshold} on are one object, id 1"
    )


def _from_grey(path: Path, kind: str, grey: UInt8[np.ndarray, "height width"]) -> MarkedFrame:
    values = {int(value) for value in np.unique(grey)}
    if values <= {0, 1} or values <= {0, 255}:
        return _marked(
            path, kind, _one_object(grey > 0), f"its only value {max(values)} is one object, id 1"
        )
    if len(values) > MOST_VALUES:
        raise PromptError(
            f"{path} has {len(values)} grey values, too many to be object ids, so its edges are "
            f"soft; {READ_AS_ONE_OBJECT}",
            options=("mask_threshold",),
        )
    return _marked(path, kind, _by_value(path, grey.astype(np.int64)), "its grey values are ids")


def _from_colours(
    path: Path, rgba: UInt8[np.ndarray, "height width 4"], *, keeps_ids: bool
) -> MarkedFrame:
    """Read one object per colour.

    Args:
        path: of the picture.
        rgba: its pixels.
        keeps_ids: whether colours of the palette are their ids.
    """
    alpha = rgba[..., 3]
    see_through = alpha == 0
    if (alpha == 255).all() and (rgba[..., :1] == rgba[..., 1:3]).all():
        return _from_grey(path, "grey stored as colours", rgba[..., 0])
    colours = _packed(rgba)
    background = see_through if see_through.any() else colours == 0
    distinct, first_pixel = np.unique(colours[~background], return_index=True)
    half_seen = np.any((alpha != 0) & (alpha != 255))
    if len(distinct) > MOST_VALUES or half_seen:
        what = "half-transparent pixels" if half_seen else f"{len(distinct)} colours"
        raise PromptError(
            f"{path} has {what}, so it is a photograph or has soft edges; paint each object in one "
            f"flat colour, or {READ_AS_ONE_OBJECT}",
            options=("mask_threshold",),
        )
    in_order = distinct[np.argsort(first_pixel)]  # by their first pixel, row by row
    ids = IDS_OF_COLOURS if keeps_ids else {}
    marks: dict[Label, MaskArray] = {
        ids.get(colour, f"#{colour:06x}"): (colours == colour) & ~background
        for colour in in_order.tolist()
    }
    return _marked(path, "flat colours", marks)
