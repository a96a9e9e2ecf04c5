"""Label maps as PNG: the value of a pixel is the id of its object, 0 is background.

Ids up to 255 are written as indexed PNG in the DAVIS colours, higher ones as 16-bit grey, and those
that 16 bits do not hold in three colour channels, as COCO's panoptic maps have them: the id is
R + 256 G + 65536 B. A text in such a PNG says so, and pictures without it are not taken for ids.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from jaxtyping import Int32, Integer
from PIL import Image, PngImagePlugin

from maskcast.core.arrays import LabelArray
from maskcast.core.errors import DataError
from maskcast.core.files import write_bytes
from maskcast.core.palette import palette_bytes
from maskcast.io.pictures import decode_picture, open_picture

LARGEST_ID = 2**24 - 1
IDS_IN_COLOURS = "maskcast.ids", "R + 256 G + 65536 B"
"""Key and text in a PNG whose colours are ids."""


def read_label_map(path: Path | str) -> LabelArray:
    """Read what ``write_label_map`` writes, or 8-bit grey; the values are ids, unchanged.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is not a picture, or painted in colours rather than ids.
    """
    return _ids(open_picture(Path(path)), str(path))


def decode_label_map(content: bytes, name: str, size: tuple[int, int] | None = None) -> LabelArray:
    """Read a label map that is no file of its own, a member of an archive.

    Args:
        content: the PNG.
        name: how messages call it.
        size: the expected height and width; a picture of another size is never decoded.

    Raises:
        DataError: as ``read_label_map``, or another size.
    """
    return _ids(decode_picture(io.BytesIO(content), name, size), name)


def has_ids_in_colours(picture: Image.Image) -> bool:
    """Whether a picture in colours says that they are ids."""
    key, text = IDS_IN_COLOURS
    return picture.mode == "RGB" and picture.info.get(key) == text


def ids_of_colours(picture: Image.Image) -> LabelArray:
    """Return the ids in a picture that ``has_ids_in_colours``."""
    return np.asarray(picture).astype(np.int32) @ np.array([1, 256, 65536], dtype=np.int32)


def _ids(picture: Image.Image, name: str) -> LabelArray:
    if has_ids_in_colours(picture):
        return ids_of_colours(picture)
    if picture.mode not in ("P", "L", "1", "I", "I;16", "I;16B"):
        raise DataError(
            f"{name} has colours (mode {picture.mode}) instead of object ids; save label maps as "
            "indexed or grey PNG"
        )
    return np.asarray(picture).astype(np.int32)


def write_label_map(path: Path | str, label_map: Integer[np.ndarray, "height width"]) -> None:
    """Write ids as PNG: indexed up to 255, 16-bit grey up to 65535, else in colours (see above).

    Raises:
        DataError: an id is negative or above ``LARGEST_ID``.
        OutputError: the file cannot be written.
    """
    write_bytes(Path(path), encode_label_map(label_map))


def encode_label_map(label_map: Integer[np.ndarray, "height width"]) -> bytes:
    """Return the PNG file that ``write_label_map`` writes; raises ``DataError`` likewise."""
    smallest, largest = int(label_map.min(initial=0)), int(label_map.max(initial=0))
    if smallest < 0 or largest > LARGEST_ID:
        wrong = smallest if smallest < 0 else largest
        raise DataError(f"object ids in a PNG must be in [0, {LARGEST_ID}], got {wrong}")
    about = None
    if largest <= 255:
        picture = Image.fromarray(label_map.astype(np.uint8))
        picture.putpalette(palette_bytes())
    elif largest <= 65535:
        picture = Image.fromarray(label_map.astype(np.uint16))
    else:
        channels = [(label_map >> shift & 255).astype(np.uint8) for shift in (0, 8, 16)]
        picture = Image.fromarray(np.stack(channels, axis=-1))
        about = PngImagePlugin.PngInfo()
        about.add_text(*IDS_IN_COLOURS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=4, pnginfo=about)
    return buffer.getvalue()


def ids_in(label_map: Integer[np.ndarray, "height width"]) -> list[int]:
    """Return the ids that occur in a label map, rising, without 0."""
    flat = label_map.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1])  # few pixels differ from the one before
    return sorted({*flat[:1].tolist(), *flat[changes + 1].tolist()} - {0})


def resize_label_map(
    label_map: Integer[np.ndarray, "height width"], size: tuple[int, int]
) -> Int32[np.ndarray, "new_height new_width"]:
    """Resize to ``size`` (height, width) by the nearest pixel centre; ids are never mixed."""
    height, width = size
    rows = (np.arange(height) + 0.5) * label_map.shape[0] / height
    columns = (np.arange(width) + 0.5) * label_map.shape[1] / width
    resized = label_map[np.ix_(rows.astype(np.intp), columns.astype(np.intp))]
    return np.asarray(resized, dtype=np.int32)
