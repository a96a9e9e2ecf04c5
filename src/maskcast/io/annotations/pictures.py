"""Write frames as pictures beside their annotations."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from maskcast.core.arrays import Picture
from maskcast.core.files import replacing

QUALITY = 95
"""JPEG quality; colours are not subsampled."""


def write_picture(path: Path, picture: Picture) -> None:
    """Write a frame as JPEG. Raises ``OutputError``."""
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, quality=QUALITY, subsampling=0)
