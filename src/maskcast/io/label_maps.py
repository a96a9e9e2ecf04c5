"""Label maps as PNG: the value of a pixel is the id of its object, 0 is background.

Ids up to 255 are written as indexed PNG in the DAVIS colours, and ids up to 65534 as 16-bit grey.
Higher ids are written in three colour channels, as in COCO's panoptic maps: the id is
R + 256 G + 65536 B. A text entry marks such a PNG; colour pictures without it are not read as ids.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32, Integer
from PIL import Image, PngImagePlugin

from maskcast.core.arrays import LabelArray
from maskcast.core.errors import DataError, UsageError
from maskcast.core.files import write_bytes
from maskcast.core.palette import PALETTE, Colour, palette_bytes
from maskcast.io.pictures import decode_picture, open_picture, upright

LARGEST_ID = 2**24 - 1
WHITE = 65535
"""Largest value of 16-bit grey, which other programs write for the object."""
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""First bytes of every PNG."""
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


def decode_foreign_map(
    content: bytes, name: str, size: tuple[int, int] | None = None, *, objects: int = 1
) -> LabelArray:
    """Decode a label map that another program may have saved again.

    Besides the label maps of ``decode_label_map``, colour pictures in grey (R = G = B = id) are
    read. Indexed pictures whose palette has the usual colours in another order are read by their
    colours.

    Args:
        content: the content of the PNG file.
        name: name of the picture in messages.
        size: expected height and width; a picture of another size is rejected before decoding.
        objects: number of objects that it has to show.

    Raises:
        DataError: the content is not a picture, has colours that stand for no id, has another
            size, or is black and white but has to show several objects.
    """
    picture = upright(decode_picture(io.BytesIO(content), name, size))
    if picture.mode == "1" and objects > 1:
        raise DataError(f"{name} is black and white, but the video has {objects} objects")
    if picture.mode == "P":
        return _ids_of_palette(picture, name)
    if picture.mode in ("RGB", "RGBA", "LA") and not has_ids_in_colours(picture):
        colours = np.asarray(picture.convert("RGBA"))
        if (colours[..., :3] == colours[..., :1]).all() and (colours[..., 3] == 255).all():
            return colours[..., 0].astype(np.int32)
    return _ids(picture, name)


def _ids_of_palette(picture: Image.Image, name: str) -> LabelArray:
    values = np.asarray(picture).astype(np.int32)
    used = np.unique(values)
    flat = picture.getpalette("RGB") or []
    table = np.zeros((256, 3), np.int64)
    table[: len(flat) // 3] = np.array(flat[: len(flat) // 3 * 3]).reshape(-1, 3)
    colours = [(int(red), int(green), int(blue)) for red, green, blue in table[used]]
    if all(_is_usual(int(v), colour) for v, colour in zip(used, colours, strict=True)):
        return values
    by_value = np.zeros(256, np.int32)
    if all(colour in _BY_COLOUR for colour in colours):
        by_value[used] = [_BY_COLOUR[colour] for colour in colours]
        return by_value[values]
    if all(red == green == blue for red, green, blue in colours):
        by_value[used] = [grey for grey, _, _ in colours]
        return by_value[values]
    if (black := next((v for v, c in zip(used, colours, strict=True) if c == (0, 0, 0)), 0)) > 0:
        raise DataError(
            f"{name} has a palette in an unknown order, in which black has the value {black}; save "
            "label maps with black as value 0"
        )
    return values


def _is_usual(value: int, colour: Colour) -> bool:
    """Return whether a palette in the usual order has this colour, as far as programs agree."""
    return _BY_COLOUR.get(colour) == value or colour == (value, value, value)


_BY_COLOUR: dict[Colour, int] = {
    **{PALETTE[value]: value for value in range(256)},
    # as in VOC, where DAVIS has 191
    **{
        (
            192 if red == 191 else red,
            192 if green == 191 else green,
            192 if blue == 191 else blue,
        ): value
        for value, (red, green, blue) in enumerate(PALETTE)
    },
}


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


def is_whole_png(path: Path) -> bool:
    """Return whether a file is a PNG up to its end, with right checksums; it is not decoded."""
    try:
        content = path.read_bytes() if path.is_file() else b""
    except OSError:
        return False
    at = len(PNG_SIGNATURE)
    if content[:at] != PNG_SIGNATURE:
        return False
    while at + 12 <= len(content):  # length, kind, content, checksum
        kind, end = content[at + 4 : at + 8], at + 8 + int.from_bytes(content[at : at + 4])
        checksum = int.from_bytes(content[end : end + 4])
        if checksum != zlib.crc32(content[at + 4 : end]):
            return False
        if kind == b"IEND":
            return True
        at = end + 4
    return False


def write_label_map(path: Path | str, label_map: Any) -> None:
    """Write ids as PNG: indexed up to 255, 16-bit grey up to 65534, higher ones in colours.

    16-bit grey of 0 and 65535 alone would be read as a mask of object 1.

    Args:
        path: the file.
        label_map: height × width of integers or booleans: an array, or a tensor on the CPU.

    Raises:
        UsageError: ``label_map`` is something else.
        DataError: an id is negative or above ``LARGEST_ID``.
        OutputError: the file cannot be written.
    """
    array = np.asarray(label_map)
    if array.ndim != 2 or array.dtype.kind not in "bui":
        raise UsageError(
            f"a label map must be height × width of integers, got {array.dtype} of shape "
            f"{array.shape}",
            options=("label_map",),
        )
    write_bytes(
        Path(path), encode_label_map(array.astype(np.uint8) if array.dtype == bool else array)
    )


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
    elif largest < WHITE:
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
