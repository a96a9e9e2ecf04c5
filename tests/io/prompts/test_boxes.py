"""Boxes as people type them, right and wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcast.core.errors import PromptError, UsageError
from maskcast.core.types import Box
from maskcast.io.prompts.boxes import parse_box

SIZE = (480, 854)


@pytest.mark.parametrize(
    ("text", "frame_key", "object_id", "box"),
    [
        ("10,20,30,40", None, None, Box(10, 20, 30, 40)),
        ("7:10,20,30,40", None, 7, Box(10, 20, 30, 40)),
        ("12:300:10,20,30,40", "12", 300, Box(10, 20, 30, 40)),
        ("a:b:1:0.5, 0.25, 3, 4e1", "a:b", 1, Box(0.5, 0.25, 3, 40)),
        ("0,0,854,480", None, None, Box(0, 0, 854, 480)),
    ],
)
def test_forms(text, frame_key, object_id, box):
    found = parse_box(text, SIZE)
    assert (found.frame_key, found.object_id, found.box) == (frame_key, object_id, box)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,2,3",
        "1,2,3,4,5",
        "a,b,c,d",
        "1 2 3 4",
        "x:1,1,5,5",
        ":1,1,5,5",
        "nan,1,5,5",
        "1,1,inf,5",
        "1,1,1e999,5",
        "1_0,1,5,5",
        "١,1,5,5",
        "9" * 5000 + ",1,5,5",
    ],
)
def test_other_forms_are_usage_errors(text):
    with pytest.raises(UsageError, match=r"invalid box .*; write|must be an integer, got"):
        parse_box(text, SIZE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-1,2,10,10", "which is 854 wide and 480 high; the part inside is 0,2,9,10"),
        ("900,1,5,5", "extends outside the frame, which is 854 wide and 480 high$"),
        ("850,1,5,5", "the part inside is 850,1,4,5"),
        ("100,100,800,460", "if these are two corners, write 100,100,700,360"),
        ("10,10,0,5", "width and height of a box must be positive, got 0×5"),
        ("10,10,5,-3", "must be positive, got 5×-3"),
        ("300,200,-100,-50", "must be positive, got -100×-50"),
        ("0.2,0.3,0.2,0.3", "in fractions of the frame; in pixels it is 171,144,171,144"),
        ("7:3:0,0,1,1", "in fractions of the frame; in pixels it is 0,0,854,480"),
        ("0.5,0.5,0.01,0.02", "in fractions of the frame; in pixels it is 427,240,9,10"),
        ("0.25,0,0.75,1.0", "in fractions of the frame; in pixels it is 214,0,640,480"),
        ("0:1,1,5,5", "must be in \\[1, 16777215\\], got 0"),
        ("-2:1,1,5,5", "must be in \\[1, 16777215\\], got -2"),
    ],
)  # fmt: skip
def test_impossible_boxes_are_refused(text, message):
    with pytest.raises(PromptError, match=message):
        parse_box(text, SIZE)


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet="0123456789.,:-+e nif", max_size=24))
def test_whatever_is_typed_is_a_box_inside_the_frame_or_refused(text):
    try:
        box = parse_box(text, SIZE).box
    except (PromptError, UsageError):
        return
    assert 0 <= box.x < box.x + box.width <= SIZE[1]
    assert 0 <= box.y < box.y + box.height <= SIZE[0]
