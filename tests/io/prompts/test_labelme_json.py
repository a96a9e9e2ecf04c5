"""labelme's and X-AnyLabeling's shapes: which are objects, and what is reported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from maskcast.core.errors import PromptError
from maskcast.core.types import Box
from maskcast.io.prompts.mask_json import read_mask_json

SIZE = (24, 32)
SQUARE = [[2, 1], [6, 1], [6, 5], [2, 5]]
OTHER = [[10, 4], [20, 4], [20, 14], [10, 14]]


def read(folder: Path, *shapes: dict, **fields: object):
    (folder / "a.json").write_text(json.dumps({"shapes": shapes, **fields}))
    (frame,) = read_mask_json(folder / "a.json", SIZE)
    return frame


def shape(label: object, points: list = SQUARE, kind: object = "polygon", **fields) -> dict:
    return {"label": label, "points": points, "shape_type": kind, **fields}


def marks(frame) -> dict:
    return {k: m if isinstance(m, Box) else int(m.sum()) for k, m in frame.marks.items()}


def test_shapes_of_a_word_are_objects_of_their_own(tmp_path):
    frame = read(tmp_path, shape("fish"), shape("fish", OTHER), shape("crab", OTHER))
    assert marks(frame) == {"fish": 16, "fish (2)": 100, "crab": 100}
    assert frame.notes == ["2 shapes of fish are objects of their own; a group_id joins them"]


@pytest.mark.parametrize("group", [0, 3, "left"])
def test_a_group_is_one_object(tmp_path, group):
    frame = read(
        tmp_path, shape("fish", group_id=group), shape("fish", OTHER, group_id=group), shape("fish")
    )
    assert marks(frame) == {f"fish {group}": 116, "fish": 16}
    assert frame.notes == [f"2 shapes of fish {group} are parts of one object"]


@pytest.mark.parametrize("group", [None, 1])
def test_shapes_of_a_number_are_parts_of_one_object(tmp_path, group):
    frame = read(tmp_path, shape("4", group_id=group), shape("4", OTHER, group_id=group))
    assert marks(frame) == {4: 116}
    assert frame.notes == ["2 shapes of 4 are parts of one object"]


@pytest.mark.parametrize(
    "fields",
    [{}, {"imageHeight": None, "imageWidth": None}, {"imageHeight": None, "imageWidth": 32},
     {"imageHeight": 24, "imageWidth": 32}],
)  # fmt: skip
def test_sizes_may_be_missing_or_null(tmp_path, fields):
    assert marks(read(tmp_path, shape("fish"), **fields)) == {"fish": 16}


@pytest.mark.parametrize("kind", ["point", "line", "linestrip", "points"])
def test_points_and_lines_beside_outlines_are_skipped(tmp_path, kind):
    frame = read(tmp_path, shape("eye", [[3, 3]], kind), shape("fish"), shape("eye", [], kind))
    assert marks(frame) == {"fish": 16}
    assert frame.notes == [f"shapes without an area are skipped: 2 of type {kind}"]
    with pytest.raises(PromptError, match=f"unsupported shape type '{kind}'"):
        read(tmp_path, shape("eye", [[3, 3]], kind))


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([[22, 6], [30, 6], [30, 16], [22, 16]], Box(22, 6, 8, 10)),
        ([[30, 16], [22, 16], [22, 6], [30, 6]], Box(22, 6, 8, 10)),
        ([[30, 16], [22, 6]], Box(22, 6, 8, 10)),
        ([[30, 20], [40, 30]], Box(30, 20, 2, 4)),
    ],
)
def test_rectangles_of_two_and_of_four_corners(tmp_path, points, expected):
    assert marks(read(tmp_path, shape("fish", points, "rectangle"))) == {"fish": expected}


@pytest.mark.parametrize("kind", ["rotation", "rectangle", "quadrilateral"])
def test_turned_rectangles_are_outlines(tmp_path, kind):
    points = [[10, 2], [18, 10], [10, 18], [2, 10]]
    turned = read(tmp_path, shape("fish", points, kind)).marks["fish"]
    polygon = read(tmp_path, shape("fish", points)).marks["fish"]
    np.testing.assert_array_equal(turned, polygon)
    assert 100 < turned.sum() < 150


def test_labels_without_text_and_with_control_characters(tmp_path):
    frame = read(tmp_path, shape(None), shape("\x1b[31mred", OTHER), shape("a" * 500, OTHER))
    assert list(frame.marks) == ["unnamed", "?[31mred", "a" * 79 + "…"]


@pytest.mark.parametrize("points", [[[True, 1], [6, 1], [6, 5]], [[1, 1], [6]], [[1e9, 1]] * 3])
def test_points_that_are_wrong(tmp_path, points):
    with pytest.raises(PromptError, match="no list of points"):
        read(tmp_path, shape("fish", points))
