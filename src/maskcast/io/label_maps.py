"""Label maps as PNG: the value of a pixel is the id of its object, 0 is background.

Ids up to 255 are written as indexed PNG in the DAVIS colours, and ids up to 65535 as 16-bit grey.
Higher ids are written in three colour channels, as in COCO's panoptic maps: the id is
R + 256 G + 65536 B. A text entry marks such a PNG; colour pictures without it are not read as ids.
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
"""Key and value of the text entry in a PNG whose colours are ids."""


def read_label_map(path: Path | str) -> LabelArray:
    """Read the object ids in a file of ``write_label_map``, or in an 8-bit grey picture.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the file is not a picture, or has colours instead of ids.
    """
    return _ids(open_picture(Path(path)), str(path))


def decode_label_map(content: bytes, name: str, size: tuple[int, int] | None = None) -> LabelArray:
    """Decode a label map from bytes, such as a member of an archive.

    Args:
        content: the content of the PNG file.
        name: name of the picture in messages.
        size: expected height and width; a picture of another size is rejected before decoding.

    Raises:
        DataError: the content is not a picture, has colours instead of ids, or has another size.
    """
    return _ids(decode_picture(io.BytesIO(content), name, size), name)


def has_ids_in_colours(picture: Image.Image) -> bool:
    """Return whether a colour picture is marked as one whose colours are ids."""
    key, text = IDS_IN_COLOURS
    return picture.mode == "RGB" and picture.info.get(key) == text


def ids_of_colours(picture: Image.Image) -> LabelArray:
    """Return the ids in a picture for which ``has_ids_in_colours`` is true."""
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
    """Write ids as PNG: indexed up to 255, 16-bit grey up to 65535, higher ones in colours.

    Raises:
        DataError: an id is negative or above ``LARGEST_ID``.
        OutputError: the file cannot be written.
    """
    write_bytes(Path(path), encode_label_map(label_map))


def encode_label_map(label_map: Integer[np.ndarray, "height width"]) -> bytes:
    """Return the content of the PNG file that ``write_label_map`` writes.

    Raises:
        DataError: an id is negative or above ``LARGEST_ID``.
    """
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
    """Return the ids that occur in a label map, in ascending order, without 0."""
    flat = label_map.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1])  # few pixels differ from the one before
    return sorted({*flat[:1].tolist(), *flat[changes + 1].tolist()} - {0})


def resize_label_map(
    label_map: Integer[np.ndarray, "height width"], size: tuple[int, int]
) -> Int32[np.ndarray, "new_height new_width"]:
    """Resize to ``size`` (height, width) with nearest-neighbour sampling, which never mixes ids."""
    height, width = size
    rows = (np.arange(height) + 0.5) * label_map.shape[0] / height
    columns = (np.arange(width) + 0.5) * label_map.shape[1] / width
    resized = label_map[np.ix_(rows.astype(np.intp), columns.astype(np.intp))]
    return np.asarray(resized, dtype=np.int32)
