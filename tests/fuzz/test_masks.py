"""Fuzz the readers of painted masks and of arrays."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from fixtures.painted_masks import paint, paint_softly
from fuzz.budget import Fuzz
from fuzz.mutations import damaged
from maskcast.core.errors import MaskcastError
from maskcast.core.palette import palette_bytes
from maskcast.io.label_maps import encode_label_map
from maskcast.io.prompts.mask_arrays import read_mask_array
from maskcast.io.prompts.mask_pictures import read_mask_picture

COLOURS = [(255, 0, 0), (0, 128, 0), (128, 128, 128)]


def encoded(picture: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def good_pictures() -> list[bytes]:
    """A small file of every format and every way to paint a mask."""
    sharp, soft = paint(COLOURS, "RGB"), paint_softly(COLOURS, "RGB", Image.Resampling.BOX)
    grey = paint_softly([60, 180, 255], "L", Image.Resampling.BILINEAR)
    indexed = paint([1, 2, 3], "L").convert("P")
    indexed.putpalette(palette_bytes())
    small = [picture.resize((48, 36), Image.Resampling.NEAREST) for picture in (sharp, soft, grey)]
    deep = Image.fromarray(np.asarray(small[2]).astype(np.uint16) * 257)
    files = [encoded(picture, kind) for picture in small for kind in ("PNG", "TIFF", "BMP", "WEBP")]
    files += [encoded(picture, "PNG") for picture in (indexed, deep, small[1].convert("RGBA"))]
    files += [encoded(small[0].quantize(8), kind) for kind in ("GIF", "PNG", "TIFF", "BMP")]
    return [*files, encoded(small[0], "JPEG"), encode_label_map(np.full((9, 12), 70000))]


def test_pictures(fuzz: Fuzz, tmp_path: Path):
    path = tmp_path / "a.png"

    def read_or_reject(example: tuple[bytes, int | None, bool]) -> None:
        content, threshold, is_copy = example
        path.write_bytes(content)
        try:
            frame = read_mask_picture(path, threshold, is_copy=is_copy)
        except MaskcastError as error:
            assert str(path) in error.summary
            return
        shapes = {mark.shape for mark in frame.marks.values()}
        assert len(shapes) <= 1
        assert all(mark.any() for mark in frame.marks.values())
        covered = sum(mark.astype(int) for mark in frame.marks.values())
        assert np.max(covered, initial=0) <= 1  # no pixel has two objects

    thresholds = st.none() | st.integers(1, 255)
    fuzz(st.tuples(damaged(good_pictures()), thresholds, st.booleans()), read_or_reject)


LEVELS = st.lists(st.integers(0, 255), min_size=1, max_size=6)


@st.composite
def drawings(draw) -> np.ndarray:
    """Rectangles and lines of a few grey values, some of them smoothed."""
    picture = np.zeros((draw(st.integers(1, 40)), draw(st.integers(1, 40))), np.uint8)
    for value in draw(LEVELS):
        top, left = draw(st.integers(0, 39)), draw(st.integers(0, 39))
        height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
        picture[top : top + height, left : left + width] = value
    scale = draw(st.sampled_from([1, 1, 2, 3]))
    size = max(1, picture.shape[1] * scale // 2), max(1, picture.shape[0] * scale // 2)
    smooth = draw(st.sampled_from(list(Image.Resampling)))
    return np.asarray(Image.fromarray(picture).resize(size, smooth))


def test_drawings(fuzz: Fuzz, tmp_path: Path):
    path = tmp_path / "a.png"

    def keep_every_pixel(grey: np.ndarray) -> None:
        Image.fromarray(grey).save(path)
        try:
            frame = read_mask_picture(path)
        except MaskcastError as error:
            assert "mask_threshold" in error.summary
            return
        levels = {*np.unique(grey).tolist()}
        for label, mark in frame.marks.items():
            assert label in levels or label == 1  # no object has a value that nobody painted
            assert mark.shape == grey.shape

    fuzz(drawings(), keep_every_pixel)


def test_arrays(fuzz: Fuzz, tmp_path: Path):
    path = tmp_path / "a.npy"
    files = []
    for array in (
        np.eye(9),
        np.eye(9, dtype=bool),
        np.arange(12).reshape(3, 4),
        np.zeros((2, 3, 4)),
    ):
        file = io.BytesIO()
        np.save(file, array)
        files.append(file.getvalue())

    def read_or_reject(content: bytes) -> None:
        path.write_bytes(content)
        try:
            frame = read_mask_array(path)
        except MaskcastError as error:
            assert str(path) in error.summary
            return
        assert all(mark.ndim == 2 and mark.any() for mark in frame.marks.values())

    fuzz(damaged(files), read_or_reject)
