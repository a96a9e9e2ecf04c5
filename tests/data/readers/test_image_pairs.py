"""Folders of pictures and masks."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.imitations import write_frame, write_labels
from fixtures.small_pairs import red_disc_on_green, write_pairs
from maskcast.core.errors import DatasetError
from maskcast.data.readers.image_pairs import read_image_pairs
from maskcast.data.synthetic.cutouts import objects_of


@pytest.fixture
def pairs(tmp_path):
    return write_pairs(tmp_path)


def test_a_pair_is_a_video_of_one_frame(pairs):
    found = read_image_pairs(pairs)
    assert [video.name for video in found] == ["a", "b"]
    assert found[1].size == (60, 90) and found[1].has_void
    assert np.array_equal(found[1].read_frame(0), red_disc_on_green()[0])
    assert sorted(np.unique(found[0].read_annotation(0))) == [0, 1, 2, 255]


def test_masks_of_nought_and_255_show_one_object(tmp_path):
    frame, mask = red_disc_on_green()
    for name, shown in (("a", 0 * mask), ("b", 255 * mask)):  # the first mask tells nothing
        write_frame(tmp_path / f"images/{name}.jpg", frame)
        write_labels(tmp_path / f"masks/{name}.png", shown)
    found = read_image_pairs(tmp_path)
    assert np.array_equal(found[1].read_annotation(0), mask)
    assert [(each.picture, each.object_id) for each in objects_of(found.videos)] == [(1, 1)]


def test_everything_that_is_wrong_is_said_at_once(pairs):
    for name in ("a.jpg", "b.PNG"):
        (pairs / "images" / name).write_bytes(b"no picture")
    write_labels(pairs / "masks/stray.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DatasetError, match=r"(?s)2 problems.*stray.*cannot open 2 of 2 images"):
        read_image_pairs(pairs)
    with pytest.raises(DatasetError, match=r"the folder .* does not exist"):
        read_image_pairs(pairs / "nowhere")


def test_a_broken_picture_or_mask_among_whole_ones_is_left_out(pairs, caplog):
    (pairs / "images/a.jpg").write_bytes(b"no picture")
    assert [video.name for video in read_image_pairs(pairs)] == ["b"]
    assert "a.jpg as an image" in caplog.text
    (pairs / "images/a.jpg").write_bytes((pairs / "images/b.PNG").read_bytes())
    (pairs / "masks/b.png").write_bytes(b"")
    found = objects_of(read_image_pairs(pairs).videos)
    assert [one.picture for one in found] == [0]
    assert "masks/b.png as an image" in caplog.text


def test_the_layout_of_pascal_voc_is_read_too(tmp_path):
    label_map = np.zeros((6, 8), dtype=np.uint8)
    label_map[2, 2:5] = (1, 255, 2)
    for name in ("2007_000032", "2007_000039", "2008_000001"):
        write_frame(tmp_path / f"JPEGImages/{name}.jpg", np.zeros((6, 8, 3), np.uint8))
    for name in ("2007_000032", "2007_000039"):
        write_labels(tmp_path / f"SegmentationObject/{name}.png", label_map)
    found = read_image_pairs(tmp_path)
    assert [video.name for video in found] == ["2007_000032", "2007_000039"]
    assert sorted(np.unique(found[0].read_annotation(0))) == [0, 1, 2, 255]
    assert found[0].has_void
