"""Boxes of a detector, as COCO and MOT write them."""

from __future__ import annotations

import json

import pytest

from maskcast.core.errors import DataError, MaskcastError, MissingFileError, PromptError
from maskcast.core.marks import Box
from maskcast.io.prompts.detections import read_detections
from maskcast.io.prompts.frames import PromptFrames

FRAMES = PromptFrames([f"{i:05d}" for i in range(10, 20)], (100, 200), 10)


def read(tmp_path, content, least_score: float = 0.5):
    path = tmp_path / "boxes"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_detections(path, FRAMES, least_score=least_score)


def test_coco_results_are_sorted_by_score(tmp_path):
    found = read(
        tmp_path,
        [
            {"image_id": 12, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.6},
            {"image_id": "00012", "category_id": 1, "bbox": [5, 6, 30, 40], "score": 0.9},
            {"image_id": 13, "category_id": 1, "bbox": [5, 6, 30, 40], "score": 0.4},
            {"image_id": 5, "category_id": 1, "bbox": [5, 6, 30, 40], "score": 0.9},
        ],
    )
    assert found.by_frame == {2: [Box(5, 6, 30, 40), Box(1, 2, 30, 40)]}
    assert found.report.endswith(
        "boxes: 2 boxes on 1 frame; skipped, with scores below 0.5: 1; on frames that are not "
        "read: 1"
    )


def test_a_coco_data_set_names_its_frames(tmp_path):
    found = read(
        tmp_path,
        {
            "images": [{"id": 1, "file_name": "x/00014.jpg"}, {"id": 2, "file_name": "00015.jpg"}],
            "annotations": [{"image_id": 2, "bbox": [1, 2, 3, 4]}],
        },
    )
    assert found.by_frame == {5: [Box(1, 2, 3, 4)]}


def test_mot_counts_frames_from_one(tmp_path):
    found = read(tmp_path, "11,-1,5,6,30,40,0.9,-1,-1,-1\n\n12,-1,190.5,6,30,40,1\n13,1,1,2,3,4\n")
    assert found.by_frame == {
        0: [Box(5, 6, 30, 40)],
        1: [Box(190.5, 6, 9.5, 40)],
        2: [Box(1, 2, 3, 4)],
    }


def test_xml_is_rejected_by_its_name(tmp_path):
    path = tmp_path / "boxes.xml"
    path.write_text("<annotations></annotations>")
    with pytest.raises(PromptError, match=r"CVAT XML is not read; in CVAT choose Export .* COCO"):
        read_detections(path, FRAMES, least_score=0.5)


def test_the_digest_is_that_of_the_content(tmp_path):
    one, other = (read(tmp_path, f"11,-1,5,6,30,{height},1") for height in (40, 41))
    assert one.digest != other.digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("11,1,5,6,30", "line 1 is not frame,id,left,top,width,height,confidence"),
        ("11,1,5,6,30,x,1", "line 1 is not frame,id"),
        ("11,1,500,6,30,40,1", "outside the frame"),
        ([{"image_id": 12, "bbox": [1, 2, 3], "score": 1}], "a bbox must be"),
        ([{"image_id": 12, "bbox": None, "score": 1}], "expected bbox and score of a box"),
        ([{"image_id": None, "bbox": [1, 2, 3, 4]}], "image_id must be the name or the index"),
        ({"boxes": []}, "expected a list of images, as COCO writes it"),
        ("[1", "boxes: "),
        ([], "has no box with a score of at least 0.5"),
        ("99,1,5,6,30,40,1", r"no box .* \(1 on other frames, 0 with lower scores\)"),
    ],
)
def test_other_files_are_bad_data(tmp_path, content, message):
    with pytest.raises(MaskcastError, match=message) as error:
        read(tmp_path, content)
    assert error.value.exit_code == 3
    assert "detections" in error.value.options


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="none is not a file"):
        read_detections(tmp_path / "none", FRAMES, least_score=0.5)
    assert issubclass(MissingFileError, DataError)
