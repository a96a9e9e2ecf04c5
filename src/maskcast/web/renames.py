"""Swaps and merges in a document: which have an effect, and how a folder lists them. No torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from maskcast.core.errors import UsageError
from maskcast.core.renames import Renames
from maskcast.io.prompts.renames import merged_away, with_ends
from maskcast.io.prompts.whole_frames import tracked_objects
from maskcast.runs.fingerprint import ABSENT_MARK


class Renamed(NamedTuple):
    """An object that masks show under another id from a frame on; a swap is two of these."""

    frame: int
    object_id: int
    other: int


class ObjectChange(NamedTuple):
    """A swap or a merge of objects from a frame on."""

    frame: int
    is_swap: bool
    ids: tuple[int, ...]
    """The two objects of a swap; for a merge the remaining object, then its new parts."""


def as_renames(renamed: Iterable[Renamed]) -> Renames:
    """Return swaps and merges by frame, as ``core.renames`` describes them."""
    by_frame: dict[int, dict[int, int]] = {}
    for frame, object_id, other in sorted(renamed):
        by_frame.setdefault(frame, {})[object_id] = other
    return by_frame


def list_changes(renamed: Iterable[Renamed]) -> list[ObjectChange]:
    """Return the swaps and merges, sorted by frame."""
    changes = []
    for frame, change in as_renames(renamed).items():
        parts: dict[int, list[int]] = {}
        for object_id, other in change.items():
            if change.get(other) != object_id:
                parts.setdefault(other, []).append(object_id)
            elif object_id < other:
                changes.append(ObjectChange(frame, True, (object_id, other)))
        changes += [ObjectChange(frame, False, (into, *ids)) for into, ids in parts.items()]
    return sorted(changes)


def effective_renames(
    renamed: Iterable[Renamed],
    prompts: Mapping[int, Mapping[int, str]],
    ends: Iterable[tuple[int, int]],
) -> frozenset[Renamed]:
    """Return the swaps and merges all of whose objects are tracked on their frame.

    Args:
        renamed: swaps and merges.
        prompts: values of prompts by frame and object id.
        ends: frames and ids of the objects that are removed before them.
    """
    if not (renames := as_renames(renamed)):
        return frozenset()
    begun = {
        frame: {i for i, value in values.items() if value != ABSENT_MARK}
        for frame, values in prompts.items()
    }
    ended: dict[int, set[int]] = {}
    for frame, object_id in ends:
        ended.setdefault(frame, set()).add(object_id)
    kept: dict[int, dict[int, int]] = {}
    for frame in sorted(renames):
        gone = with_ends(ended, merged_away(kept))
        tracked = tracked_objects([frame], begun, gone)[frame]
        change = renames[frame]
        if {*change, *change.values()} <= tracked:
            kept[frame] = dict(change)
    return frozenset(
        Renamed(f, i, other) for f, change in kept.items() for i, other in change.items()
    )


def reject_ends_on(
    renamed: Iterable[Renamed],
    prompts: Mapping[int, Mapping[int, str]],
    ends: frozenset[tuple[int, int]],
) -> None:
    """Reject ends of objects on the frame on which they are swapped or merged.

    Args:
        renamed: swaps and merges.
        prompts: values of prompts by frame and object id.
        ends: frames and ids of the objects that are removed before them.

    Raises:
        UsageError: there is such an end, without which the swap or merge has an effect.
    """
    renamed = frozenset(renamed)
    on_frame = {(one.frame, i) for one in renamed for i in (one.object_id, one.other)}
    effective = effective_renames(renamed, prompts, ends - on_frame)
    for frame, *ids in sorted(effective):
        for object_id in ids:
            if (frame, object_id) in ends:
                raise UsageError(
                    f"object {object_id} cannot end on frame {frame}, on which it is swapped or "
                    "merged; end it on another frame"
                )


def reject_lost_renames(needed: Iterable[Renamed], effective: Collection[Renamed]) -> None:
    """Reject marks without which a swap or merge has an effect.

    Args:
        needed: swaps and merges that must have an effect.
        effective: swaps and merges with an effect.

    Raises:
        UsageError: a needed one has no effect.
    """
    for frame, *ids in sorted(needed):
        if Renamed(frame, *ids) not in effective:
            one, other = sorted(ids)
            raise UsageError(
                f"objects {one} and {other} are swapped or merged on frame {frame}: both must have "
                "a mask or box on an earlier frame and must not end before it"
            )


def reject_unfitting_marks(renamed: Iterable[Renamed], marked: Iterable[tuple[int, int]]) -> None:
    """Reject marks of objects that are part of another one, or that change ids on their frame.

    Args:
        renamed: swaps and merges with an effect.
        marked: frames and ids of objects with a prompt or an end.

    Raises:
        UsageError: there is such a mark.
    """
    renames = as_renames(renamed)
    gone = merged_away(renames)
    for frame, object_id in sorted(marked):
        if object_id in renames.get(frame, {}):
            raise UsageError(
                f"object {object_id} cannot be marked on frame {frame}, on which it is swapped or "
                "merged; mark it on another frame"
            )
        if since := [at for at, ids in gone.items() if at < frame and object_id in ids]:
            raise UsageError(
                f"object {object_id} cannot be marked on frame {frame}: it is part of object "
                f"{renames[since[0]][object_id]} from frame {since[0]} on; mark that one"
            )
