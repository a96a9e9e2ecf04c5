"""Masks that went through lossy compression are rejected; masks with thin objects are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fixtures.painted_masks import paint
from maskcast.core.errors import PromptError
from maskcast.io.prompts.mask_pictures import read_mask_picture


def again(picture: Image.Image, kind: str, quality: int) -> Image.Image:
    """What is left of a picture that was compressed."""
    file = io.BytesIO()
    picture.save(file, kind, quality=quality)
    return Image.open(file).convert(picture.mode)


@pytest.mark.parametrize("values", [[255], [100, 200]])
@pytest.mark.parametrize("quality", [50, 75, 85, 95, 98, 99, 100])
def test_a_jpeg_saved_as_png_gives_no_invented_objects(tmp_path, values, quality):
    again(paint(values, "L"), "JPEG", quality).save(tmp_path / "a.png")
    with pytest.raises(PromptError, match="set mask_threshold"):
        read_mask_picture(tmp_path / "a.png")


@pytest.mark.parametrize("quality", [50, 75, 85, 90, 98])
def test_webp_saved_as_png_gives_no_invented_objects(tmp_path, quality):
    again(paint([255], "L"), "WEBP", quality).save(tmp_path / "a.png")
    try:
        frame = read_mask_picture(tmp_path / "a.png")
    except PromptError as error:
        assert "set mask_threshold" in error.summary
    else:
        assert set(frame.marks) == {1}


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_threshold_reads_what_was_compressed(tmp_path, kind):
    picture = paint([255], "L")
    again(picture, kind, 75).save(tmp_path / "a.png")
    mask = read_mask_picture(tmp_path / "a.png", 128).marks[1]
    np.testing.assert_array_equal(mask, np.asarray(picture) == 255)


def test_thin_objects_with_close_values_stay(tmp_path):
    values = np.asarray(paint([100, 200], "L")).copy()
    values[90, 5:60] = 3
    values[70:94, 100] = 5
    Image.fromarray(values).save(tmp_path / "a.png")
    assert set(read_mask_picture(tmp_path / "a.png").marks) == {3, 5, 100, 200}


def test_a_sharpened_edge_belongs_to_its_own_object(tmp_path):
    """Bicubic resizing goes beyond 128 at the edge of an object of 128, towards that of 255."""
    large = np.zeros((384, 512), np.uint8)
    rows, columns = np.mgrid[:384, :512]
    large[np.hypot(rows - 194, columns - 162) < 64] = 128
    large[119:203, 319:403] = 255
    picture = Image.fromarray(large).resize((128, 96), Image.Resampling.BICUBIC)
    assert np.asarray(picture)[:, :70].max() > 128
    picture.save(tmp_path / "a.png")
    marks = read_mask_picture(tmp_path / "a.png").marks
    assert set(marks) == {128, 255}
    assert not marks[255][:, :70].any()
