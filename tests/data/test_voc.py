"""Pictures in the layout of PASCAL VOC."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.imitations import write_frame, write_labels
from maskcast.core.errors import DatasetError
from maskcast.data.image_pairs import read_image_pairs
from maskcast.data.voc import read_voc


@pytest.fixture
def voc(tmp_path):
    label_map = np.zeros((6, 8), dtype=np.uint8)
    label_map[2, 2:5] = (1, 255, 2)
    for name in ("2007_000032", "2007_000039", "2008_000001"):
        write_frame(tmp_path / f"JPEGImages/{name}.jpg", np.zeros((6, 8, 3), np.uint8))
    for name in ("2007_000032", "2007_000039"):
        write_labels(tmp_path / f"SegmentationObject/{name}.png", label_map)
    lists = tmp_path / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "trainval.txt").write_text("2007_000039\n")
    return tmp_path


def test_a_split_names_its_pictures(voc):
    found = read_voc(voc)
    assert [video.name for video in found] == ["2007_000039"]
    assert sorted(np.unique(found[0].read_annotation(0))) == [0, 1, 2, 255]
    assert found[0].has_void


def test_without_a_split_every_picture_with_a_mask_counts(voc):
    assert [video.name for video in read_voc(voc, split=None)] == ["2007_000032", "2007_000039"]


def test_recipes_read_it_like_pairs_of_image_and_mask(voc):
    names = ["2007_000032", "2007_000039"]
    assert [video.name for video in read_image_pairs(voc)] == names


def test_faults_are_said(voc):
    (voc / "ImageSets/Segmentation/trainval.txt").write_text("2008_000001\n2009_000001\n")
    with pytest.raises(DatasetError, match=r"(?s)2 faults.*no mask.*no picture"):
        read_voc(voc)
