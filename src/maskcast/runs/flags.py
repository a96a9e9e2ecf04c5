"""Find the frames of a run that the user should look at, from the log ``frames.jsonl``.

    unsure      the object is less certain than usual, or the frame begins a new shot
    jump        its area differs by more than half from that of the frames before
    lost        its mask is empty, and was not on the frame before
    returned    its mask was empty on the frame before

Certainty is the presence if the method predicts it, or else the mean probability inside the mask.
A frame on which an object has a prompt is never flagged for this object. Imports no torch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise
from math import log
from statistics import median
from typing import TypeAlias

from maskcast.runs.masks import FoundByFrame, FoundObject

CONFIDENCE_LIMIT, CONFIDENCE_DROP = 0.8, 0.1
"""A mask is unsure below this confidence, and this far below the object's median confidence."""
PRESENCE_LIMIT, PRESENCE_DROP = 0.75, 0.15
"""The same for the presence, which is 0.5 or more for visible objects."""
JUMP = log(1.5)
"""Change of the area, as the logarithm of the ratio, from which it is a jump."""
LARGEST_JUMP = log(4)
"""Change of the area that is as severe as possible."""
FRAMES_BEFORE = 5
"""Number of frames before a frame whose median area it is compared with."""
GAP = 5
"""Flags of one object at most this many frames apart belong to one spot."""
MOST_SPOTS = 50
"""Number of spots in a list."""

History: TypeAlias = Sequence[tuple[int, FoundObject]]
"""The frames on which one object is tracked, in ascending order."""


class FlagKind(StrEnum):
    """Why a frame is flagged."""

    UNSURE = "unsure"
    JUMP = "jump"
    LOST = "lost"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Flag:
    """One reason to look at one object on one frame."""

    frame: int
    """Frame index, counted from the first frame of the run."""
    object_id: int
    kind: FlagKind
    severity: float
    """From 0 to 1; spots are sorted by it."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Flags of one object that are close together."""

    worst: Flag
    first: int
    """First flagged frame."""
    last: int
    """Last flagged frame."""


def find_flags(
    logged: FoundByFrame,
    *,
    prompted: Collection[tuple[int, int]] = (),
    cuts: Collection[int] = (),
) -> list[Flag]:
    """Return the flags of all objects, by object and frame.

    Args:
        logged: entries of the log; an object that has not begun, or has ended, has none.
        prompted: frames and ids of masks, boxes and absences that a person gave.
        cuts: frames that begin a new shot.
    """
    flags: list[Flag] = []
    for object_id, history in histories(logged).items():
        prompted_frames = {frame for frame, marked in prompted if marked == object_id}
        of_object = [
            *_unsure(object_id, history, cuts),
            *_jumps(object_id, history, prompted_frames),
            *_events(object_id, history),
        ]
        flags += (flag for flag in of_object if flag.frame not in prompted_frames)
    return sorted(flags, key=lambda flag: (flag.object_id, flag.frame, flag.kind))


def find_spots(flags: Iterable[Flag], most: int = MOST_SPOTS) -> list[Spot]:
    """Merge flags of one object that are at most ``GAP`` frames apart; the worst come first.

    Args:
        flags: flags of any objects, in any order.
        most: number of spots to return.
    """
    spots = []
    ordered = sorted(flags, key=lambda flag: (flag.object_id, flag.frame))
    for _, of_object in groupby(ordered, key=lambda flag: flag.object_id):
        group: list[Flag] = []
        for flag in of_object:
            if group and flag.frame - group[-1].frame > GAP:
                spots.append(_spot(group))
                group = []
            group.append(flag)
        spots.append(_spot(group))
    return sorted(spots, key=lambda s: (-s.worst.severity, s.first, s.worst.object_id))[:most]


def histories(logged: FoundByFrame) -> dict[int, list[tuple[int, FoundObject]]]:
    """Return the frames on which each object is tracked, by ascending object id and frame."""
    by_object: dict[int, list[tuple[int, FoundObject]]] = {}
    for frame in sorted(logged):
        for object_id, one in logged[frame].items():
            by_object.setdefault(object_id, []).append((frame, one))
    return {object_id: by_object[object_id] for object_id in sorted(by_object)}


def _spot(flags: Sequence[Flag]) -> Spot:
    return Spot(max(flags, key=lambda flag: flag.severity), flags[0].frame, flags[-1].frame)


def _unsure(object_id: int, history: History, cuts: Collection[int]) -> Iterator[Flag]:
    visible = [(frame, one) for frame, one in history if one.area]
    with_presence = all(one.presence is not None for _, one in visible)
    certainty = {frame: one.presence if with_presence else one.confidence for frame, one in visible}
    known = {frame: value for frame, value in certainty.items() if value is not None}
    if not known:
        return
    limit, drop = (
        (PRESENCE_LIMIT, PRESENCE_DROP) if with_presence else (CONFIDENCE_LIMIT, CONFIDENCE_DROP)
    )
    limit = min(limit, median(known.values()) - drop)
    for frame, value in known.items():
        if frame in cuts:
            yield Flag(frame, object_id, FlagKind.UNSURE, 1.0)
        elif value < limit:
            yield Flag(frame, object_id, FlagKind.UNSURE, (limit - value) / limit)


def _jumps(object_id: int, history: History, prompted_frames: Collection[int]) -> Iterator[Flag]:
    """Compare areas with those before; a prompt, which may change the mask, begins again."""
    before: deque[tuple[int, int]] = deque(maxlen=FRAMES_BEFORE)
    for frame, one in history:
        if frame in prompted_frames:
            before.clear()
        areas = [area for earlier, area in before if earlier >= frame - FRAMES_BEFORE]
        if areas and one.area:
            change = abs(log(one.area / median(areas)))
            if change > JUMP:
                yield Flag(frame, object_id, FlagKind.JUMP, min(change / LARGEST_JUMP, 1.0))
        if one.area:
            before.append((frame, one.area))


def _events(object_id: int, history: History) -> Iterator[Flag]:
    for (before, earlier), (frame, one) in pairwise(history):
        if frame != before + 1:
            continue
        if earlier.area and not one.area:
            yield Flag(frame, object_id, FlagKind.LOST, 1.0)
        elif one.area and not earlier.area:
            yield Flag(frame, object_id, FlagKind.RETURNED, 0.5)
