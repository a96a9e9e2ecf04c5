"""COCO instances from an annotation file made here."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fixtures.imitations import write_frame
from maskcast.core.errors import DatasetError, MissingFileError
from maskcast.core.types import Box
from maskcast.data.coco import CocoClips, read_coco

SQUARE = [[2, 1, 6, 1, 6, 5, 2, 5]]
"""Columns 2 to 5, rows 1 to 4."""


def entry(image_id, box, outline, crowd=0):
    return {"image_id": image_id, "bbox": box, "segmentation": outline, "iscrowd": crowd}


@pytest.fixture
def annotations(tmp_path):
    for name in ("a", "b", "c"):
        write_frame(tmp_path / f"images/{name}.png", np.full((8, 10, 3), ord(name), np.uint8))
    # run lengths go down the columns: 8 · 2 pixels of background, then 8 of the third column
    crowd = {"size": [8, 10], "counts": [16, 8, 56]}
    content = {
        "images": [
            {"id": number, "file_name": f"{name}.png", "height": 8, "width": 10}
            for number, name in ((7, "a"), (3, "b"), (5, "c"))
        ],
        "annotations": [
            entry(7, [2, 1, 4, 4], SQUARE),
            entry(7, [3.5, 2, 2, 2], [[3, 2, 5, 2, 5, 4, 3, 4]]),
            entry(3, [2, 0, 1, 8], crowd, crowd=1),
            entry(3, [0, 0, 0, 4], SQUARE),
        ],
    }
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(content))
    return path


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


def test_a_clip_repeats_one_instance_with_its_own_box(annotations):
    clips = CocoClips("coco", read_coco(annotations, annotations.parent / "images"))
    assert clips.targets == [(1, 0)]  # the other one has a box of 4 pixels, the third is a crowd
    clip = clips.draw(np.random.default_rng(0), 1)
    assert clip.boxes == (Box(2, 1, 4, 4),) * 2
    assert [int(frame[0, 0, 0]) for frame in clip.frames] == [ord("a")] * 2
    assert clip.masks[1].sum() == 16


def test_an_instance_that_is_hidden_by_another_keeps_its_whole_mask(annotations):
    clips = CocoClips(
        "coco", read_coco(annotations, annotations.parent / "images"), smallest_object=3
    )
    drawn = [clips.draw(np.random.default_rng(seed), 0) for seed in range(12)]
    assert {int(clip.masks[0].sum()) for clip in drawn} == {16, 4}


@pytest.mark.parametrize("outline", [[], [[2, 1]], "x", {"size": [8, 10], "counts": [1, 2]}])
def test_an_outline_that_is_none_is_a_broken_item(annotations, outline):
    """The engine passes over what raises ``DataError``."""
    content = json.loads(annotations.read_text())
    content["annotations"][0]["segmentation"] = outline
    annotations.write_text(json.dumps(content))
    clips = CocoClips("coco", read_coco(annotations, annotations.parent / "images"))
    with pytest.raises(DatasetError, match=r"a\.png, instance 0: "):
        clips.draw(np.random.default_rng(0), 1)


def test_faults_are_said(annotations, tmp_path):
    with pytest.raises(MissingFileError):
        read_coco(tmp_path / "nowhere.json", tmp_path)
    (tmp_path / "other.json").write_text('{"videos": {}}')
    with pytest.raises(DatasetError, match="not a COCO instances file"):
        read_coco(tmp_path / "other.json", tmp_path)
    (tmp_path / "images/a.png").unlink()
    with pytest.raises(DatasetError, match=r"1 of 2 images are missing in .*images:\n  - a\.png"):
        read_coco(annotations, tmp_path / "images")
