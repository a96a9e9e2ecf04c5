"""Boxes of a detector begin the objects that are not tracked yet."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from contract.coloured_video import true_mask
from maskcast.core.boxes import tight_box
from maskcast.core.errors import RunConflictError, UsageError
from maskcast.core.marks import Box
from maskcast.core.types import ObjectMasks
from maskcast.io.label_maps import read_label_map
from maskcast.runs.frame_log import LogEntry
from maskcast.runs.masks import FoundObject
from maskcast.runs.new_objects import NewObjects, left_over, overlap
from maskcast.runs.segmentation import SavePolicy
from maskcast.runs.video_request import VideoRequest
from maskcast.runs.video_run import run_video
from runs.small_run import open_in, request
from runs.stand_in_video import Boxed, WholeBoxes, request_in

COUNT = 9


BOXED = Boxed(WholeBoxes())


def entry(object_id: int, frame: int) -> dict:
    box = tight_box(true_mask(object_id, frame).numpy())
    assert box is not None
    sides = [box.x, box.y, box.width, box.height]
    return {"image_id": frame, "category_id": 1, "bbox": sides, "score": 0.9}


@pytest.fixture
def request_(tmp_path) -> VideoRequest:
    """Object 1 is marked; a detector sees both objects on every second frame from 3 on."""
    entries = [entry(i, frame) for frame in range(3, COUNT, 2) for i in (1, 2)]
    (tmp_path / "boxes.json").write_text(json.dumps(entries))
    boxes, policy = tmp_path / "boxes.json", SavePolicy(frames=2, seconds=1e9)
    return request_in(tmp_path, count=COUNT, detections=boxes, policy=policy)


def label_maps(folder) -> list[list[list[int]]]:
    return [read_label_map(path).tolist() for path in sorted(folder.glob("*.png"))]


def test_a_box_without_an_object_begins_one(request_, tmp_path):
    report: list[str] = []
    card = run_video(request_, BOXED, report=report.append).card
    assert report[-1].endswith("boxes.json: 6 boxes on 3 frames")
    for frame, found in enumerate(label_maps(tmp_path / "out")):
        expected = true_mask(1, frame).int() + (101 * true_mask(2, frame) if frame >= 3 else 0)
        assert found == expected.tolist()
    assert card.request.settings["detections"].endswith(", score 0.5")
    assert list(card.request.prompts) == ["0:1"]


def test_a_run_may_begin_with_boxes_alone(request_, tmp_path):
    run_video(replace(request_, masks=[], names=["101=square"]), BOXED)
    assert set(np.unique(label_maps(tmp_path / "out")[4])) == {0, 101, 102}


def test_a_continued_run_gives_the_same_ids(request_, tmp_path):
    def interrupt(work: str, done: int, total: int | None) -> None:
        if work == "frames" and done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_video(request_, BOXED, progress=interrupt)
    card = run_video(request_, BOXED).card
    assert card.resumed_from > 3
    run_video(replace(request_, output=tmp_path / "whole"), BOXED)
    assert label_maps(tmp_path / "out") == label_maps(tmp_path / "whole")


def test_objects_that_began_by_themselves_can_be_corrected_and_ended(request_, tmp_path):
    run_video(request_, BOXED)
    edited = replace(request_, absent=["6:101"], ends=["7:101"])
    run_video(edited, BOXED)
    ids = [set(np.unique(one)) - {0, 1} for one in label_maps(tmp_path / "out")]
    assert ids[4:7] == [{101}, {101}, set()]
    assert ids[7] == {102}, "the detector still sees it"
    run_video(edited, BOXED)


def test_other_boxes_are_another_run(request_, tmp_path):
    run_video(request_, BOXED)
    with pytest.raises(RunConflictError) as conflict:
        run_video(replace(request_, detection_score=0.8), BOXED)
    assert "the setting detections was" in str(conflict.value)
    with pytest.raises(UsageError, match=r"detection_score must be in \[0, 1\], got 2"):
        run_video(replace(request_, detection_score=2), BOXED)


def test_overlap_is_intersection_over_union():
    assert overlap(Box(0, 0, 10, 10), Box(5, 0, 10, 10)) == pytest.approx(50 / 150)
    assert overlap(Box(0, 0, 1, 1), Box(5, 5, 1, 1)) == 0


def test_boxes_of_tracked_objects_and_duplicates_are_left_out():
    label_map = np.zeros((50, 60), dtype=np.int64)
    label_map[10:30, 10:30] = 4
    same, part, new, again = (
        Box(12, 10, 20, 20), Box(14, 14, 8, 8), Box(40, 5, 15, 30), Box(41, 5, 15, 30),
    )  # fmt: skip
    beside = Box(22, 10, 20, 20)  # half of it is another object beside the first
    assert left_over([same, part, new, again], label_map) == [new]
    assert left_over([same, beside], label_map) == [beside]
    assert left_over([new], np.zeros((50, 60), dtype=np.int64)) == [new]


def test_ids_count_on_from_those_in_the_log(tmp_path):
    boxes = {frame: [Box(1, 1, 3, 3)] for frame in range(9)}
    nothing = ObjectMasks((7,), torch.zeros(1, 10, 10))
    run = open_in(tmp_path, request())
    assert list(NewObjects(boxes, run)(2, nothing)) == [101]
    for frame, object_id in ((1, 103), (5, 110)):
        objects = {7: FoundObject(1, 1.0), object_id: FoundObject(1, 1.0)}
        run.log.append(LogEntry(frame=frame, mask="", objects=objects))
    begin = NewObjects(boxes, run)
    assert list(begin(2, nothing)) == [104]
    assert list(begin(3, nothing)) == [105]
