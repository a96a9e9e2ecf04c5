"""Swaps and merges: objects that masks show under other ids from a frame on. Imports no torch.

A segmenter goes on with the ids under which it tracks its objects (tracked ids). Only what a person
sees and marks has the new ids (shown ids). A swap or a merge therefore needs no tracking again, and
states stay valid.

    swap 1 and 2 on frame 40        {40: {1: 2, 2: 1}}
    merge 2 into 1 on frame 40      {40: {2: 1}}
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TypeAlias, TypeVar

Mark = TypeVar("Mark")

Renames: TypeAlias = Mapping[int, Mapping[int, int]]
"""New shown ids by earlier shown id, by index of the frame from which on they hold."""
ShownIds: TypeAlias = Mapping[int, int]
"""Shown ids by tracked id; objects with equal ids may be left out."""

NO_RENAMES: Renames = MappingProxyType({})


def shown_ids(renames: Renames, frame_index: int) -> dict[int, int]:
    """Return the shown ids of a frame that differ from the tracked ones, by tracked id."""
    shown: dict[int, int] = {}
    for since in sorted(renames):
        if since > frame_index:
            break
        step = renames[since]
        before = {i: shown.get(i, i) for i in {*shown, *step}}
        shown = {i: step.get(one, one) for i, one in before.items()}
    return {i: one for i, one in sorted(shown.items()) if i != one}


def tracked_ids(shown: ShownIds, object_id: int) -> list[int]:
    """Return the tracked ids of the objects that are shown as one object, in ascending order."""
    itself = [] if object_id in shown else [object_id]
    return sorted([*itself, *(i for i, one in shown.items() if one == object_id)])


def change_of_ids(before: ShownIds, after: ShownIds) -> dict[int, int] | None:
    """Return how the ids in a label map change from one set of shown ids to another.

    None means that objects which are merged in the label map would have to be separated.
    """
    change: dict[int, int] = {}
    for tracked in {*before, *before.values(), *after}:
        old, new = before.get(tracked, tracked), after.get(tracked, tracked)
        if change.setdefault(old, new) != new:
            return None
    return {old: new for old, new in change.items() if old != new}


def as_tracked(
    renames: Renames,
    prompts: Mapping[int, Mapping[int, Mark]],
    ends: Mapping[int, Collection[int]],
    *,
    is_absence: Callable[[Mark], bool],
) -> tuple[dict[int, dict[int, Mark]], dict[int, frozenset[int]]]:
    """Translate marks from shown to tracked ids.

    A mask or box of merged objects belongs to the one with the lowest tracked id, and ends the
    others. An absence or an end holds for all of them.

    Args:
        renames: swaps and merges.
        prompts: masks, boxes and absences by frame index and shown id.
        ends: shown ids of the objects that are removed before a frame, by frame index.
        is_absence: returns whether a prompt is an absence.

    Returns:
        prompts and ends with tracked ids.
    """
    ended: set[int] = set()
    tracked: dict[int, dict[int, Mark]] = {}
    removed: dict[int, frozenset[int]] = {}
    for frame_index in sorted({*prompts, *ends}):
        shown = shown_ids(renames, frame_index)

        def of(object_id: int, shown: ShownIds = shown) -> list[int]:
            return [i for i in tracked_ids(shown, object_id) if i not in ended]

        gone = {i for object_id in ends.get(frame_index, ()) for i in of(object_id)}
        for object_id, mark in prompts.get(frame_index, {}).items():
            marked, *others = of(object_id)
            here = tracked.setdefault(frame_index, {})
            here |= dict.fromkeys([marked, *others] if is_absence(mark) else [marked], mark)
            if not is_absence(mark):
                gone.update(others)
                ended.update(others)
        if gone:
            removed[frame_index] = frozenset(gone)
    ordered = {frame: dict(sorted(here.items())) for frame, here in tracked.items()}
    return ordered, removed
