"""Open any picture safely: damaged files and decompression bombs are errors of one kind."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from maskcast.core.errors import DataError, MissingFileError

LARGEST_PICTURE = 2**27
"""Pixels; a file that unpacks to more is taken for a decompression bomb."""


def open_picture(path: Path) -> Image.Image:
    """Open and decode a picture.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is not a picture, is damaged, or unpacks to more than ``LARGEST_PICTURE``.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist")
    return decode_picture(path, str(path))


def decode_picture(
    source: Path | io.BytesIO, name: str, size: tuple[int, int] | None = None
) -> Image.Image:
    """Decode a picture that is a file or a part of one.

    Args:
        source: the file, or its content.
        name: how messages call it.
        size: the expected height and width; a picture of another size is never decoded.

    Raises:
        DataError: it is not a picture, is damaged, has another size, or unpacks to more than
            ``LARGEST_PICTURE``.
    """
    with _decoding(name):
        picture = Image.open(source)
        width, height = picture.size
        if width * height > LARGEST_PICTURE:
            raise Image.DecompressionBombError
    if size is not None and size != (height, width):
        raise DataError(f"{name} is {height}×{width}, but the video is {size[0]}×{size[1]}")
    with _decoding(name):
        picture.load()
    return picture


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except Image.DecompressionBombError as error:
        raise DataError(
            f"{name} has more than {LARGEST_PICTURE} pixels; rejected as a decompression bomb"
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise DataError(f"cannot read {name} as an image: {error}") from error
