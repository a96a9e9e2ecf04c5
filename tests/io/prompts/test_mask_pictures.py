"""Each way to paint a mask, and what its values are taken for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskcast.core.errors import PromptError, UsageError
from maskcast.io.prompts.mask_pictures import read_mask_picture


def save(path: Path, values: object, mode: str | None = None) -> Path:
    picture = Image.fromarray(np.array(values))
    if mode == "P":
        picture.putpalette([value for value in range(256) for _ in range(3)])
    picture.save(path)
    return path


def ids_in(frame) -> dict:
    return {label: int(mark.sum()) for label, mark in frame.marks.items()}


def test_indexed_values_are_ids_255_too(tmp_path):
    values = np.array([[0, 1, 1], [7, 255, 0]], dtype=np.uint8)
    frame = read_mask_picture(save(tmp_path / "a.png", values, "P"))
    assert (frame.kind, frame.frame_key, frame.notes) == ("indexed", "a", [])
    assert ids_in(frame) == {1: 2, 7: 1, 255: 1}
    np.testing.assert_array_equal(frame.marks[7], values == 7)


@pytest.mark.parametrize("values", [[[0, 1]], [[0, 255]], [[255, 255]], [[0, 2]]])
def test_indexed_values_stay_ids_even_if_there_is_one(tmp_path, values):
    frame = read_mask_picture(save(tmp_path / "a.png", np.array(values, dtype=np.uint8), "P"))
    assert set(ids_in(frame)) == {max(values[0])}


def test_16_bit_values_are_ids(tmp_path):
    values = np.array([[0, 255, 256, 40000]], dtype=np.uint16)
    frame = read_mask_picture(save(tmp_path / "a.png", values))
    assert (frame.kind, ids_in(frame)) == ("16-bit grey", {255: 1, 256: 1, 40000: 1})


@pytest.mark.parametrize(
    ("values", "count"), [([[0, 1, 1]], 2), ([[0, 255, 255]], 2), ([[255, 255]], 2), ([[1]], 1)]
)
def test_a_grey_mask_of_one_value_is_object_1_and_says_so(tmp_path, values, count):
    frame = read_mask_picture(save(tmp_path / "a.png", np.array(values, dtype=np.uint8)))
    assert ids_in(frame) == {1: count}
    assert "is one object, id 1" in frame.notes[0]


def test_other_grey_values_are_ids(tmp_path):
    frame = read_mask_picture(save(tmp_path / "a.png", np.array([[0, 2, 255]], dtype=np.uint8)))
    assert ids_in(frame) == {2: 1, 255: 1}


def test_32_grey_values_are_ids_and_33_are_soft_edges(tmp_path):
    path = save(tmp_path / "a.png", np.arange(32, dtype=np.uint8).reshape(4, 8))
    assert len(ids_in(read_mask_picture(path))) == 31
    path = save(tmp_path / "b.png", np.arange(33, dtype=np.uint8).reshape(3, 11))
    with pytest.raises(PromptError, match=r"b\.png has 33 grey values.*set mask_threshold"):
        read_mask_picture(path)


def test_a_threshold_cuts_soft_edges(tmp_path):
    path = save(tmp_path / "a.png", np.arange(256, dtype=np.uint8).reshape(16, 16))
    frame = read_mask_picture(path, mask_threshold=100)
    assert ids_in(frame) == {1: 156}
    assert "from 100 on" in frame.notes[0]
    with pytest.raises(UsageError, match=r"must be in .1, 255., got 300"):
        read_mask_picture(path, mask_threshold=300)


def test_a_mask_without_objects(tmp_path):
    frame = read_mask_picture(save(tmp_path / "a.png", np.zeros((2, 3), dtype=np.uint8)))
    assert frame.marks == {}


def test_black_and_white(tmp_path):
    frame = read_mask_picture(save(tmp_path / "a.png", np.array([[True, False]])))
    assert ids_in(frame) == {1: 1}


RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)


def test_flat_colours_are_objects_in_the_order_of_reading(tmp_path):
    values = np.array([[BLACK, BLUE, RED], [RED, RED, BLACK]], dtype=np.uint8)
    frame = read_mask_picture(save(tmp_path / "a.png", values))
    assert (frame.kind, list(frame.marks)) == ("flat colours", ["#0000ff", "#ff0000"])
    assert ids_in(frame) == {"#0000ff": 1, "#ff0000": 3}


def test_grey_stored_as_colours_is_read_as_grey(tmp_path):
    values = np.array([[0, 3, 5]], dtype=np.uint8)[..., None].repeat(3, axis=2)
    assert ids_in(read_mask_picture(save(tmp_path / "a.png", values))) == {3: 1, 5: 1}


def test_transparency_is_background(tmp_path):
    clear, black = (0, 0, 0, 0), (0, 0, 0, 255)
    values = np.array([[clear, (*RED, 255), black], [clear, (9, 9, 9, 0), black]], dtype=np.uint8)
    frame = read_mask_picture(save(tmp_path / "a.png", values))
    assert ids_in(frame) == {"#ff0000": 1, "#000000": 2}


def test_half_transparent_or_many_colours_are_refused(tmp_path):
    half = np.array([[(*RED, 255), (*RED, 128)]], dtype=np.uint8)
    with pytest.raises(PromptError, match=r"half-transparent pixels.*set mask_threshold"):
        read_mask_picture(save(tmp_path / "a.png", half))
    many = np.zeros((1, 40, 3), dtype=np.uint8)
    many[0, :, 0], many[0, :, 1] = np.arange(40), 200
    with pytest.raises(PromptError, match="40 colours, so it is a photograph"):
        read_mask_picture(save(tmp_path / "b.png", many))


def test_a_jpeg_does_not_keep_ids(tmp_path):
    values = np.zeros((16, 16), dtype=np.uint8)
    values[4:8, 4:8] = 3
    path = save(tmp_path / "a.jpg", values)
    with pytest.raises(PromptError, match=r"a\.jpg is a JPEG.*set mask_threshold"):
        read_mask_picture(path)
    assert set(read_mask_picture(path, 2).marks) == {1}


def test_a_16_bit_picture_with_more_values_than_objects_is_refused(tmp_path):
    values = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    assert len(read_mask_picture(save(tmp_path / "ids.png", values)).marks) == 1023
    soft = np.arange(1025, dtype=np.uint16)[None] * 60
    with pytest.raises(PromptError, match=r"1025 different values.*set mask_threshold"):
        read_mask_picture(save(tmp_path / "soft.png", soft))


def test_what_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(PromptError, match=r"cannot read .* as an image"):
        read_mask_picture(tmp_path / "a.png")
