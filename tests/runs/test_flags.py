"""Flags name the frames on which an object changes, and no others."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Sequence

import pytest

from maskcast.runs.flags import Flag, FlagKind, find_flags, find_spots
from maskcast.runs.masks import FoundObject

STEADY = (100,) * 12


def log_of(
    areas: Sequence[int | None],
    certainty: Sequence[float] | float = 0.95,
    *,
    presence: bool = False,
    object_id: int = 1,
) -> dict[int, dict[int, FoundObject]]:
    """Return what a log says about one object; None: it is not tracked on that frame."""
    values = [certainty] * len(areas) if isinstance(certainty, float) else certainty
    return {
        frame: {}
        if area is None
        else {
            object_id: FoundObject(
                area,
                (0.9 if presence else value) if area else None,
                value if presence else None,
            )
        }
        for frame, (area, value) in enumerate(zip(areas, values, strict=True))
    }


def kinds(flags: Sequence[Flag]) -> list[tuple[int, str]]:
    return [(flag.frame, flag.kind) for flag in flags]


def test_a_steady_object_has_no_flags():
    assert find_flags(log_of(STEADY)) == []
    assert find_flags({}) == []


@pytest.mark.parametrize(
    ("usual", "odd", "is_unsure"),
    [
        (0.95, 0.79, True),  # below 0.8
        (0.95, 0.81, False),
        (0.85, 0.76, False),  # this object is never more certain
        (0.85, 0.74, True),
    ],
)
def test_unsure_is_below_a_limit_and_below_what_is_usual(usual, odd, is_unsure):
    certainty = [usual] * 12
    certainty[7] = odd
    assert kinds(find_flags(log_of(STEADY, certainty))) == [(7, "unsure")] * is_unsure


def test_presence_goes_before_confidence_and_has_a_scale_of_its_own():
    certainty = [0.95] * 12
    certainty[7] = 0.76
    assert find_flags(log_of(STEADY, certainty, presence=True)) == []
    certainty[7] = 0.7
    (flag,) = find_flags(log_of(STEADY, certainty, presence=True))
    assert (flag.frame, flag.kind) == (7, "unsure")
    assert flag.severity == pytest.approx(0.05 / 0.75)


def test_a_jump_is_a_change_by_more_than_half_of_the_median_before():
    assert kinds(find_flags(log_of([*STEADY, 149]))) == []
    assert kinds(find_flags(log_of([*STEADY, 151]))) == [(12, "jump")]
    assert kinds(find_flags(log_of([*STEADY, 67]))) == []
    (flag,) = find_flags(log_of([*STEADY, 50]))
    assert (flag.frame, flag.kind) == (12, "jump")
    assert flag.severity == pytest.approx(math.log(2) / math.log(4))
    # three of the five frames before have the new area
    assert kinds(find_flags(log_of([100] * 5 + [200] * 9))) == [
        (5, "jump"),
        (6, "jump"),
        (7, "jump"),
    ]


def test_a_loss_and_a_return():
    flags = find_flags(log_of([100, 100, 0, 0, 0, 100, 100]))
    assert kinds(flags) == [(2, "lost"), (5, "returned")]


def test_an_object_that_ends_or_has_not_begun_is_not_lost():
    assert find_flags(log_of([None, None, 100, 100, None, None])) == []
    assert find_flags(log_of([100, None, 0, None, 100])) == []


def test_an_object_that_returns_is_not_compared_with_long_ago():
    areas = [100] * 5 + [0] * 5 + [300] * 5
    assert kinds(find_flags(log_of(areas))) == [(5, "lost"), (10, "returned")]


def test_frames_with_prompts_are_never_flagged_and_begin_again():
    areas = [100] * 6 + [300] * 6
    found = log_of(areas, [0.95] * 6 + [0.5] + [0.95] * 5)
    assert kinds(find_flags(found, prompted={(6, 1)})) == []
    assert {6, 7} <= {flag.frame for flag in find_flags(found, prompted={(6, 2)})}
    assert find_flags(log_of([100, 0, 100]), prompted={(1, 1), (2, 1)}) == []


def test_on_a_cut_every_visible_object_is_unsure():
    found = log_of(STEADY)
    for frame, objects in log_of([50] * 6 + [0] * 6, object_id=2).items():
        found[frame] |= objects
    flags = find_flags(found, cuts={3, 8})
    assert [(f.object_id, f.frame, f.kind) for f in flags] == [
        *((1, 3, "unsure"), (1, 8, "unsure")),
        *((2, 3, "unsure"), (2, 6, "lost")),
    ]


def test_spots_merge_flags_at_most_five_frames_apart_and_the_worst_come_first():
    def flag(frame: int, severity: float, object_id: int = 1) -> Flag:
        return Flag(frame, object_id, FlagKind.UNSURE, severity)

    flags = [flag(10, 0.2), flag(15, 0.6), flag(21, 0.9), flag(12, 0.4, 2)]
    spots = find_spots(flags)
    assert [(s.worst.frame, s.worst.object_id, s.first, s.last) for s in spots] == [
        *((21, 1, 21, 21), (15, 1, 10, 15)),
        (12, 2, 12, 12),
    ]
    assert len(find_spots([flag(frame, 0.5) for frame in range(0, 1000, 6)])) == 50
    assert len(find_spots(flags, most=1)) == 1
    assert find_spots([]) == []


def test_no_torch_is_imported():
    program = "import sys, maskcast.runs.flags; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
