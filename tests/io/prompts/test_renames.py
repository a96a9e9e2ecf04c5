"""Swaps and merges as a person types them."""

from __future__ import annotations

import pytest

from maskcast.core.errors import PromptError, UsageError
from maskcast.io.prompts.frames import PromptFrames
from maskcast.io.prompts.renames import merged_away, parse_merge, parse_swap, settle_renames

FRAMES = PromptFrames([f"{i:05d}" for i in range(10, 20)], (4, 4), 10)
PROMPTS = {0: [1, 2], 2: [3]}


def settle(swaps=(), merges=(), *, prompts=PROMPTS, ends=None, absent=None):
    report: list[str] = []
    renames = settle_renames(
        *(tuple(map(parse_swap, swaps)), tuple(map(parse_merge, merges)), FRAMES),
        **{"prompts": prompts, "ends": ends or {}, "absent": absent or {}},
        report=report,
    )
    return renames, report


def test_frames_are_those_of_the_whole_video():
    assert settle(["15:1,2"], ["00016:3,1,2"]) == (
        {5: {1: 2, 2: 1}, 6: {1: 3, 2: 3}},
        [
            "frame 00015: objects 1 and 2 are swapped",
            "frame 00016: objects 1, 2 merged into object 3",
        ],
    )
    assert merged_away({5: {1: 2, 2: 1}, 6: {1: 3, 2: 3}}) == {6: {1, 2}}


@pytest.mark.parametrize("text", ["", "5", "5:1", ":1,2", "5:1,1", "5:0,1", "5:1,x", "5:1,2,"])
def test_other_texts_are_usage_errors(text):
    with pytest.raises(UsageError, match="FRAME:ID,ID, such as 120:1,2"):
        parse_swap(text)
    with pytest.raises(UsageError, match="invalid merge"):
        parse_merge(text)


def test_only_two_objects_are_swapped():
    with pytest.raises(UsageError, match="must name two objects, got 3"):
        parse_swap("5:1,2,3")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"swaps": ["5:1,2"]}, "swap of objects 1, 2: frame 5 does not exist"),
        ({"swaps": ["10:1,2"]}, "object 1 cannot be swapped or merged on frame 00010"),
        ({"merges": ["12:1,3"]}, "object 3 cannot be swapped or merged on frame 00012"),
        ({"swaps": ["15:1,2"], "ends": {4: [2]}}, "object 2 cannot be swapped"),
        ({"merges": ["14:1,2"], "swaps": ["15:1,2"]}, "object 2 cannot be swapped"),
        ({"swaps": ["15:1,2", "15:2,3"]}, "object 2 is swapped or merged twice on frame 00015"),
        ({"swaps": ["15:1,2"], "absent": {5: [1]}}, "object 1 has another mark on frame 00015"),
        (
            {"merges": ["15:1,2"], "prompts": {**PROMPTS, 7: [2]}},
            "object 2 has a mask or a box on frame 00017, but it is part of another object since "
            "frame 00015",
        ),
    ],
)
def test_what_does_not_fit_is_rejected(given, message):
    with pytest.raises(PromptError, match=message):
        settle(**given)
