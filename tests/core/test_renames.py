"""Swaps and merges change the ids that are shown, not those that are tracked."""

from __future__ import annotations

import pytest

from maskcast.core.renames import as_tracked, change_of_ids, shown_ids, tracked_ids

SWAP = {4: {1: 2, 2: 1}}
MERGE = {4: {2: 1}}


@pytest.mark.parametrize(
    ("renames", "frame", "expected"),
    [
        (SWAP, 3, {}),
        (SWAP, 4, {1: 2, 2: 1}),
        ({**SWAP, 6: {1: 2, 2: 1}}, 6, {}),
        ({**SWAP, 6: {1: 3, 3: 1}}, 6, {1: 2, 2: 3, 3: 1}),
        (MERGE, 9, {2: 1}),
        ({**SWAP, 6: {2: 1}}, 6, {2: 1}),
        ({**MERGE, 6: {1: 3, 3: 1}}, 6, {1: 3, 2: 3, 3: 1}),
    ],
)
def test_ids_that_a_frame_shows(renames, frame, expected):
    assert shown_ids(renames, frame) == expected


def test_objects_behind_one_id():
    assert tracked_ids({}, 5) == [5]
    assert tracked_ids({1: 2, 2: 1}, 1) == [2]
    assert tracked_ids({2: 1}, 1) == [1, 2]
    assert tracked_ids({2: 1}, 2) == []


def test_a_label_map_changes_only_if_nothing_must_be_separated():
    swapped, merged = {1: 2, 2: 1}, {2: 1}
    assert change_of_ids({}, swapped) == {1: 2, 2: 1}
    assert change_of_ids(swapped, {}) == {1: 2, 2: 1}
    assert change_of_ids({}, merged) == {2: 1}
    assert change_of_ids(swapped, merged) == {2: 1}
    assert change_of_ids(merged, {}) is None
    assert change_of_ids(merged, swapped) is None
    assert change_of_ids(merged, {1: 3, 2: 3, 3: 1}) == {1: 3, 3: 1}


def marks(renames, prompts, ends=None):
    return as_tracked(renames, prompts, ends or {}, is_absence=lambda mark: mark == "absent")


def test_marks_after_a_swap_belong_to_the_other_object():
    prompts = {0: {1: "a", 2: "b"}, 4: {3: "c"}, 6: {1: "d", 2: "absent"}}
    tracked = {0: {1: "a", 2: "b"}, 4: {3: "c"}, 6: {1: "absent", 2: "d"}}
    assert marks(SWAP, prompts, {8: [2]}) == (tracked, {8: frozenset({1})})


def test_a_mask_of_merged_objects_ends_all_but_one():
    prompts = {0: {1: "a", 2: "b"}, 5: {1: "absent"}, 6: {1: "c"}, 7: {1: "absent"}}
    tracked = {**prompts, 5: {1: "absent", 2: "absent"}}
    assert marks(MERGE, prompts, {8: [1]}) == (tracked, {6: {2}, 8: {1}})
