"""Open untrusted pictures: damaged files and decompression bombs raise ``DataError``."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from maskcast.core.errors import DataError, MissingFileError

LARGEST_PICTURE = 2**27
"""Maximum number of pixels; larger pictures are rejected as decompression bombs."""


def open_picture(path: Path) -> Image.Image:
    """Open and decode a picture.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the file is not a picture, is damaged, or is larger than ``LARGEST_PICTURE``.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist")
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
        DataError: the source is not a picture, is damaged, has another size, or is larger than
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
