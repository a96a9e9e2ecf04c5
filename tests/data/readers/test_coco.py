"""COCO instances from an annotation file made here."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fixtures.small_coco import write_coco
from maskcast.core.errors import DatasetError, MissingFileError
from maskcast.data.readers.coco import read_coco


@pytest.fixture
def annotations(tmp_path):
    return write_coco(tmp_path)


def test_pictures_without_instances_and_boxes_without_area_are_left_out(annotations):
    pictures = read_coco(annotations, annotations.parent / "images")
    assert [(picture.name, len(picture.instances)) for picture in pictures] == [("b", 1), ("a", 2)]


def test_a_polygon_is_filled_and_run_lengths_go_down_the_columns(annotations):
    crowded, squares = read_coco(annotations, annotations.parent / "images")
    expected = np.zeros((8, 10), dtype=np.uint8)
    expected[1:5, 2:6] = 1
    assert np.array_equal(squares.mask_of(0), expected)
    column = np.zeros((8, 10), dtype=np.uint8)
    column[:, 2] = 1
    assert np.array_equal(crowded.mask_of(0), column)


def test_a_label_map_has_the_smaller_on_top_and_crowds_as_void(annotations):
    crowded, squares = read_coco(annotations, annotations.parent / "images")
    label_map = squares.read_annotation(0)
    assert label_map[1, 2] == 1 and label_map[2, 3] == 2
    assert sorted(np.unique(crowded.read_annotation(0))) == [0, 255]


def test_faults_are_said(annotations, tmp_path):
    with pytest.raises(MissingFileError):
        read_coco(tmp_path / "nowhere.json", tmp_path)
    (tmp_path / "other.json").write_text('{"videos": {}}')
    with pytest.raises(DatasetError, match="not a COCO instances file"):
        read_coco(tmp_path / "other.json", tmp_path)
    (tmp_path / "images/a.png").unlink()
    with pytest.raises(DatasetError, match=r"1 of 2 images are missing in .*images:\n  - a\.png"):
        read_coco(annotations, tmp_path / "images")


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "b/../../a.png", "a\0.png", "x" * 300])
def test_names_of_pictures_never_leave_the_folder(annotations, name):
    content = json.loads(annotations.read_text())
    for entry in content["images"]:
        entry["file_name"] = name
    annotations.write_text(json.dumps(content))
    with pytest.raises(DatasetError, match="invalid name"):
        read_coco(annotations, annotations.parent / "images")


def test_pictures_may_lie_in_folders_of_their_own(annotations):
    images = annotations.parent / "images"
    content = json.loads(annotations.read_text())
    for entry in content["images"]:
        entry["file_name"] = f"val/{entry['file_name']}"
    annotations.write_text(json.dumps(content))
    (annotations.parent / "all").mkdir()
    images.rename(annotations.parent / "all" / "val")
    assert len(read_coco(annotations, annotations.parent / "all")) == 2
