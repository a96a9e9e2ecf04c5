"""Open untrusted pictures: damaged files and decompression bombs raise ``DataError``.

Only the formats of ``FORMATS`` are tried, whatever the name of a file is. Pillow knows more, and
starts another program to read some of them.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from maskcast.core.errors import DataError, MissingFileError

log = logging.getLogger(__name__)

ORIENTATION = 0x0112
"""The EXIF tag that says how a picture is turned to be shown."""
LARGEST_PICTURE = 2**27
"""Maximum number of pixels; larger pictures are rejected as decompression bombs."""
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
"""Formats that are read, as Pillow names them."""


def open_picture(path: Path, *, one_page: bool = False) -> Image.Image:
    """Open and decode a picture.

    Args:
        path: the file.
        one_page: whether files of several pages, and animations, are rejected.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the file is not a picture of ``FORMATS``, is damaged, has several pages, or is
            larger than ``LARGEST_PICTURE``.
    """
    _require_file(path)
    if one_page:
        _require_one_page(path)
    return decode_picture(path, str(path))


def decode_picture(
    source: Path | io.BytesIO, name: str, size: tuple[int, int] | None = None
) -> Image.Image:
    """Decode a picture from a file or from its content.

    Args:
        source: the file, or its content.
        name: name of the picture in messages.
        size: expected height and width; a picture of another size is rejected before decoding.

    Raises:
        DataError: the source is not a picture of ``FORMATS``, is damaged, has another size, or is
            larger than ``LARGEST_PICTURE``.
    """
    picture = _opened(source, name)
    width, height = picture.size
    if size is not None and size != (height, width):
        raise DataError(f"{name} is {height}×{width}, but the video is {size[0]}×{size[1]}")
    with _decoding(name):
        picture.load()
    return picture


def upright(picture: Image.Image) -> Image.Image:
    """Return a picture as it is shown, turned or mirrored by its EXIF orientation."""
    try:
        if picture.getexif().get(ORIENTATION, 1) in (None, 1):
            return picture
        return ImageOps.exif_transpose(picture)
    except Exception as error:  # damaged EXIF data makes Pillow raise nearly anything
        log.debug("cannot read the orientation of an image: %s", error)
        return picture


def bits_per_channel(path: Path, picture: Image.Image) -> int:
    """Return 16 for a PNG or TIFF with 16 bits per channel, of which Pillow may keep 8; else 8."""
    if picture.mode.startswith("I;16"):
        return 16
    if picture.format == "TIFF":
        bits = getattr(picture, "tag_v2", {}).get(258, 8)
        return 16 if max(bits if isinstance(bits, tuple) else (bits,)) == 16 else 8
    try:
        with path.open("rb") as file:
            head = file.read(26)
    except OSError:
        return 8
    return 16 if head[:8] == b"\x89PNG\r\n\x1a\n" and head[24:25] == b"\x10" else 8


def is_lossy(path: Path, picture: Image.Image) -> bool:
    """Return whether a picture is compressed in a way that changes its values: JPEG, lossy WebP."""
    if picture.format in ("JPEG", "MPO"):
        return True
    if picture.format == "TIFF":
        return str(picture.info.get("compression", "")) in ("jpeg", "tiff_jpeg", "webp")
    if picture.format != "WEBP":
        return False
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            if head[:4] in (b"VP8 ", b"VP8L"):
                return head[:4] == b"VP8 "
            size = int.from_bytes(head[4:], "little")
            file.seek(size + size % 2, io.SEEK_CUR)
    return True


def picture_header(source: Path | io.BytesIO, name: str) -> tuple[str, tuple[int, int]]:
    """Return the mode of a picture as Pillow names it, and its height and width.

    Nothing but the header is read.

    Raises:
        MissingFileError: the file does not exist.
        DataError: as of ``decode_picture``.
    """
    if isinstance(source, Path):
        _require_file(source)
    with _opened(source, name) as picture:
        return picture.mode, (picture.height, picture.width)


def page_count(path: Path) -> int:
    """Return the number of pages or animated pictures in a file.

    Raises:
        MissingFileError: the file does not exist.
        DataError: as of ``decode_picture``.
    """
    _require_file(path)
    with _decoding(str(path)), _opened(path, str(path)) as picture:
        return 1 if picture.format == "MPO" else int(getattr(picture, "n_frames", 1))


def _require_file(path: Path) -> None:
    if not path.is_file():
        if path.exists():
            raise DataError(f"cannot read {path} as an image: it is not a regular file")
        raise MissingFileError(f"{path} does not exist")


def _require_one_page(path: Path) -> None:
    with _opened(path, str(path)) as picture, _decoding(str(path)):
        pages = 1 if picture.format == "MPO" else getattr(picture, "n_frames", 1)
        kind = "pages" if picture.format == "TIFF" else "frames of an animation"
    if pages > 1:
        raise DataError(
            f"{path} has {pages} {kind}; save the one that is meant as a PNG of its own"
        )


def _opened(source: Path | io.BytesIO, name: str) -> Image.Image:
    with _decoding(name):
        picture = Image.open(source, formats=FORMATS)
        width, height = picture.size
        if width * height > LARGEST_PICTURE:
            raise Image.DecompressionBombError
    return picture


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damage that does not keep it from being read
            yield
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{name} has more than {LARGEST_PICTURE} pixels; rejected as a decompression bomb"
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"cannot read {name} as an image: its content is none of {', '.join(FORMATS)}"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # damaged files make Pillow raise nearly anything
        raise DataError(f"cannot read {name} as an image: {error}") from error
