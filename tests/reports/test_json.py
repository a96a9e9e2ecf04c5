"""The rows of the reports about annotations in JSON."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from maskcast.core.types import Box
from maskcast.io.prompts.reading import GivenPrompts, read_prompts
from reports.rows import INPUTS

pytestmark = pytest.mark.skipif(not INPUTS.is_dir(), reason="MASKCAST_REPORTS is missing")

NAMES = [f"{number:05d}" for number in range(12)]


def read(name: str) -> GivenPrompts:
    return read_prompts([INPUTS / "json" / name], names=NAMES, size=(96, 128))


def pixels(marks: Mapping) -> dict[int, int]:
    return {object_id: int(mark.sum()) for object_id, mark in marks.items()}


@pytest.mark.parametrize(
    ("name", "frame", "objects"),
    [
        ("cvat_tracks_frame_6.json", 6, {1: 576, 2: 576}),
        ("roboflow_ids_from_0.json", 0, {1: 576, 2: 576}),
        ("sam_automatic_masks.json", 0, {1: 793, 2: 441}),
        ("labelme_two_fish.json", 0, {1: 576, 2: 576}),
        ("labelme_without_size.json", 0, {1: 576}),
    ],
)
def test_masks(name, frame, objects):
    given = read(name)
    assert {index: pixels(marks) for index, marks in given.by_frame.items()} == {frame: objects}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cvat_tracks_frame_6.json", "its field track_id counts from 0"),
        ("roboflow_ids_from_0.json", "its field id counts from 0"),
        ("sam_automatic_masks.json", "numbered in order, because they have no id"),
        ("labelme_two_fish.json", "2 shapes of fish are objects of their own"),
    ],
)
def test_the_report_says_how_ids_were_read(name, words):
    assert words in "\n".join(read(name).report)


@pytest.mark.parametrize(
    ("name", "box"),
    [
        ("coco_boxes_only.json", Box(24, 38, 30, 30)),
        ("xanylabeling_rectangle.json", Box(22, 36, 32, 32)),
    ],
)
def test_boxes(name, box):
    assert read(name).by_frame == {0: {1: box}}
