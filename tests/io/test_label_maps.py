"""Whatever ids are written come back; what is not a label map is refused."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from maskcast.core.errors import DataError, MissingFileError, UsageError
from maskcast.core.palette import PALETTE
from maskcast.io.label_maps import (
    encode_label_map,
    ids_in,
    read_label_map,
    resize_label_map,
    write_label_map,
)

label_maps = st.sampled_from([1, 255, 256, 65535, 65536, 2**24 - 1]).flatmap(
    lambda largest: hnp.arrays(
        np.int64,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
        elements=st.integers(0, largest),
    )
)


@settings(max_examples=40, deadline=None)
@given(label_map=label_maps)
def test_every_label_map_comes_back(tmp_path_factory, label_map):
    path = tmp_path_factory.mktemp("maps") / "00000.png"
    write_label_map(path, label_map)
    found = read_label_map(path)
    np.testing.assert_array_equal(found, label_map)
    assert found.dtype == np.int32


def test_small_ids_are_indexed_in_the_davis_colours(tmp_path):
    write_label_map(tmp_path / "a.png", np.array([[0, 1], [2, 255]]))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "P"
        colours = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(colours[0], [[0, 0, 0], [128, 0, 0]])
    np.testing.assert_array_equal(colours[1], [[0, 128, 0], PALETTE[255]])


@pytest.mark.parametrize(
    ("largest", "mode"),
    [
        (255, "P"),
        (256, "I;16"),
        (65534, "I;16"),
        (65535, "RGB"),
        (65536, "RGB"),
        (2**24 - 1, "RGB"),
    ],
)
def test_the_largest_id_decides_on_the_kind_of_picture(tmp_path, largest, mode):
    write_label_map(tmp_path / "a.png", np.array([[0, largest]]))
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == mode
    assert read_label_map(tmp_path / "a.png").tolist() == [[0, largest]]


def test_ids_above_65535_are_colours_as_in_panoptic_maps(tmp_path):
    write_label_map(tmp_path / "a.png", np.array([[0, 1 + 2 * 256 + 3 * 65536]]))
    with Image.open(tmp_path / "a.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), [[[0, 0, 0], [1, 2, 3]]])


@pytest.mark.parametrize("wrong", [-1, 2**24])
def test_ids_that_no_png_holds_are_refused(wrong):
    with pytest.raises(DataError, match=f"must be in .*, got {wrong}"):
        encode_label_map(np.array([[0, wrong]]))


def test_colours_are_no_label_map(tmp_path):
    Image.new("RGB", (3, 2)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="has colours"):
        read_label_map(tmp_path / "a.png")


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"absent\.png does not exist"):
        read_label_map(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(DataError, match=r"cannot read .*text\.png as an image"):
        read_label_map(tmp_path / "text.png")
    write_label_map(tmp_path / "cut.png", np.arange(200).reshape(10, 20))
    content = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(content[:-60])
    with pytest.raises(DataError, match=r"cannot read .*cut\.png as an image"):
        read_label_map(tmp_path / "cut.png")


def test_a_bomb_is_refused_before_it_unpacks(tmp_path):
    small = encode_label_map(np.zeros((2, 2), dtype=np.int64))
    huge = bytearray(small)
    huge[16:24] = (60000).to_bytes(4, "big") * 2  # width and height in the header
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(huge)
    with pytest.raises(DataError, match="decompression bomb"):
        read_label_map(tmp_path / "bomb.png")


def test_resizing_takes_the_nearest_pixel_centre():
    # 2 → 3 columns: centres 1/3, 1, 5/3 of the old ones, so pixels 0, 1, 1
    label_map = np.array([[7, 9]])
    np.testing.assert_array_equal(resize_label_map(label_map, (1, 3)), [[7, 9, 9]])
    # 4 → 2: centres 1 and 3 lie on borders and belong to the pixel behind them
    np.testing.assert_array_equal(resize_label_map(np.array([[1, 2, 3, 4]]), (1, 2)), [[2, 4]])


@settings(max_examples=40, deadline=None)
@given(label_map=label_maps, factor=st.integers(1, 4))
def test_enlarging_by_whole_numbers_repeats_pixels(label_map, factor):
    height, width = label_map.shape
    found = resize_label_map(label_map, (height * factor, width * factor))
    np.testing.assert_array_equal(found, label_map.repeat(factor, 0).repeat(factor, 1))


def test_ids_in_a_label_map():
    assert ids_in(np.array([[3, 3, 0], [0, 7, 700]], np.int32)) == [3, 7, 700]
    assert ids_in(np.zeros((2, 2), np.int32)) == []
    assert ids_in(np.full((1, 1), 5, np.int32)) == [5]


@pytest.mark.parametrize("wrong", [np.full((2, 2), 1.5), np.zeros((2, 2, 3), int), "a.png"])
def test_only_label_maps_are_written(tmp_path, wrong):
    with pytest.raises(UsageError, match="must be height × width of integers"):
        write_label_map(tmp_path / "a.png", wrong)
    assert not (tmp_path / "a.png").exists()


def test_tensors_and_truth_values_are_written(tmp_path):
    for label_map in (torch.eye(3, dtype=torch.int32), torch.eye(3).bool(), np.eye(3, dtype=bool)):
        write_label_map(tmp_path / "a.png", label_map)
        np.testing.assert_array_equal(read_label_map(tmp_path / "a.png"), np.eye(3))
