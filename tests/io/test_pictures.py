"""Pictures of others: only the listed formats, whatever the name says."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from maskcast.core.errors import DataError, MissingFileError
from maskcast.io.pictures import FORMATS, decode_picture, open_picture, picture_header

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n%%EndComments\nshowpage\n%%EOF\n"
PICTURE = np.arange(48, dtype=np.uint8).reshape(6, 8)


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_listed_formats_are_read_under_any_name(tmp_path, kind):
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(kind))
    assert open_picture(path).size == (8, 6)
    assert picture_header(path, "picture")[1] == (6, 8)


@pytest.mark.parametrize("kind", ["PPM", "TGA", "ICO", "PCX", "SGI", "DDS"])
def test_other_formats_that_pillow_knows_are_not_read(tmp_path, kind):
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(kind))
    with pytest.raises(DataError, match="its content is none of PNG, JPEG"):
        open_picture(path)


@pytest.mark.parametrize("name", ["a.png", "a.eps", "a.jpg"])
def test_postscript_starts_no_program(tmp_path, name, monkeypatch):
    def started(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)
    (tmp_path / name).write_bytes(POSTSCRIPT)
    for read in (open_picture, lambda path: picture_header(path, str(path))):
        with pytest.raises(DataError, match=f"cannot read .*{name} as an image"):
            read(tmp_path / name)
    with pytest.raises(DataError, match="as an image"):
        decode_picture(io.BytesIO(POSTSCRIPT), "a member")


def test_pipes_and_folders_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path):
        with pytest.raises(DataError, match="not a regular file"):
            open_picture(path)
    with pytest.raises(MissingFileError):
        picture_header(tmp_path / "none.png", "none")


def test_every_truncation_is_read_or_rejected(tmp_path):
    for kind in FORMATS:
        content = encoded(kind)
        for length in range(0, len(content), max(1, len(content) // 40)):
            try:
                picture = decode_picture(io.BytesIO(content[:length]), "cut")
            except DataError as error:
                assert "cut" in error.summary
            else:
                assert picture.size == (8, 6)
