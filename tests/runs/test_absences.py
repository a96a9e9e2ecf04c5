"""Absence marks in a run, forward and backward."""

from __future__ import annotations

import pytest

from maskcast.core.errors import PromptError
from maskcast.core.types import ABSENT
from maskcast.io.label_maps import read_label_map
from maskcast.runs.identity import RunIdentity
from runs.small_run import BOTH, COUNT, FIRST, LATE, masks_in, request, run_into

EARLY = {2: {1: ABSENT}, 3: {1: ABSENT, 2: ABSENT}, 6: {1: ABSENT}}
"""Absences in the video of ``LATE``; on frame 6, object 1 has a mask already."""


def test_an_absence_empties_its_frame_alone(tmp_path):
    run_into(tmp_path, {**FIRST, 4: {2: ABSENT}})
    for frame_index in range(COUNT):
        found = read_label_map(tmp_path / f"{frame_index:05d}.png")
        assert (found == 1).any()
        assert (found == 2).any() == (frame_index != 4)


def test_the_backward_pass_respects_absences_before_the_first_mask(tmp_path):
    run_into(tmp_path / "run", LATE, settings=BOTH)
    steps: list[int] = []
    run_into(tmp_path / "run", {**LATE, **EARLY}, settings=BOTH, steps=steps)
    assert steps[-9:] == [8, 7, 6, 5, 4, 3, 2, 1, 0]  # the pass is repeated
    for frame_index in range(COUNT):
        found = read_label_map(tmp_path / "run" / f"{frame_index:05d}.png")
        for object_id in (1, 2):
            is_absent = object_id in EARLY.get(frame_index, {})
            assert (found == object_id).any() != is_absent
    run_into(tmp_path / "at once", {**LATE, **EARLY}, settings=BOTH)
    assert masks_in(tmp_path / "run") == masks_in(tmp_path / "at once")


def test_an_absence_before_the_first_mask_is_an_error_without_a_backward_pass(tmp_path):
    with pytest.raises(PromptError, match="frame 2: object 1 is marked absent before its first"):
        run_into(tmp_path, {**LATE, **EARLY})


def test_an_object_that_is_only_absent_is_an_error_in_both_directions(tmp_path):
    with pytest.raises(PromptError, match="frame 3: object 9 is marked absent before its first"):
        run_into(tmp_path, {**LATE, 3: {9: ABSENT}}, settings=BOTH)


def test_results_of_the_backward_pass_depend_on_early_absences_only():
    plain, early = request(LATE, settings=BOTH), request({**LATE, **EARLY}, settings=BOTH)
    late = request({**LATE, 6: EARLY[6]}, settings=BOTH)
    assert early.early_absences() == [(2, 1), (3, 1), (3, 2)]
    assert RunIdentity(plain).backward == RunIdentity(late).backward
    assert RunIdentity(plain).backward != RunIdentity(early).backward
