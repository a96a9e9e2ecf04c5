"""Swaps and merges of objects: as text, ``FRAME:ID,ID``, and as listed. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from maskcast.core.errors import PromptError, UsageError
from maskcast.core.numbers import shortened, whole_number
from maskcast.core.renames import NO_RENAMES, Renames
from maskcast.io.label_maps import LARGEST_ID
from maskcast.io.prompts.frames import PromptFrames
from maskcast.io.prompts.marked_frame import FrameKey
from maskcast.io.prompts.whole_frames import IdsByFrame, tracked_objects

ListedGroups: TypeAlias = tuple[tuple[FrameKey, tuple[int, ...]], ...]
"""Pairs of a frame and the ids of objects that are swapped or merged on it."""


def parse_swap(text: str) -> tuple[str, tuple[int, ...]]:
    """Parse ``FRAME:ID,ID`` into a frame key and two ids. Raises ``UsageError``."""
    frame_key, ids = _parse(text, "swap", "FRAME:ID,ID, such as 120:1,2")
    if len(ids) != 2:
        raise UsageError(
            f"swap {shortened(text)!r} must name two objects, got {len(ids)}", options=("swap",)
        )
    return frame_key, ids


def parse_merge(text: str) -> tuple[str, tuple[int, ...]]:
    """Parse ``FRAME:ID,ID[,ID]`` into a frame key and ids; the others merge into the first.

    Raises:
        UsageError: the text has another form.
    """
    return _parse(text, "merge", "FRAME:ID,ID[,ID], such as 120:1,2")


def settle_renames(
    swaps: ListedGroups,
    merges: ListedGroups,
    frames: PromptFrames,
    *,
    prompts: IdsByFrame,
    ends: IdsByFrame,
    absent: IdsByFrame,
    report: list[str],
) -> Renames:
    """Return swaps and merges by frame index.

    Args:
        swaps: frames and the two objects that have each other's ids from there on.
        merges: frames and objects, of which the others become part of the first one.
        frames: the frames of the video.
        prompts: ids of the objects with a mask or box on a frame, by frame index.
        ends: ids of the objects that are removed before a frame, by frame index.
        absent: ids of the objects that are absent on a frame, by frame index.
        report: list to which a line of text per swap and merge is appended.

    Raises:
        PromptError: a frame does not exist, an object is not tracked there, is part of another one,
            or has another mark on the frame.
    """
    listed = [("swap", key, {one: other, other: one}) for key, (one, other) in swaps]
    listed += [("merge", key, dict.fromkeys(others, into)) for key, (into, *others) in merges]
    if not listed:
        return NO_RENAMES
    renames: dict[int, dict[int, int]] = {}
    for option, frame_key, change in listed:
        frame_index = frames.find_mark(frame_key)
        if frame_index is None:
            raise PromptError(
                f"{option} of objects {_joined({*change, *change.values()})}: frame "
                f"{shortened(frame_key)} does not exist; {frames.known()}",
                options=("masks", option),
            )
        here = renames.setdefault(frame_index, {})
        if twice := {*here, *here.values()} & {*change, *change.values()}:
            raise PromptError(
                f"object {min(twice)} is swapped or merged twice on {frames.label(frame_index)}",
                options=("swap", "merge"),
            )
        here |= change
        report.append(f"{frames.label(frame_index)}: {_described(option, change)}")
    _reject_unfitting(renames, frames, prompts, ends)
    marked = with_ends(prompts, with_ends(ends, absent))
    for frame_index, change in renames.items():
        _reject_marks(change, marked.get(frame_index, ()), frames.label(frame_index))
    return renames


def merged_away(renames: Renames) -> dict[int, frozenset[int]]:
    """Return the ids that merges take away, by index of the frame from which on they are gone."""
    gone = {f: frozenset(change) - set(change.values()) for f, change in renames.items()}
    return {frame_index: ids for frame_index, ids in gone.items() if ids}


def with_ends(ends: IdsByFrame, gone: IdsByFrame) -> dict[int, frozenset[int]]:
    """Return two sets of ends together."""
    frames = {*ends, *gone}
    return {f: frozenset(ends.get(f, ())) | frozenset(gone.get(f, ())) for f in frames}


def is_group(ids: Sequence[int]) -> bool:
    """Return whether these are ids of at least two objects."""
    return len(set(ids)) == len(ids) >= 2 and all(1 <= number <= LARGEST_ID for number in ids)


def _parse(text: str, option: str, form: str) -> tuple[str, tuple[int, ...]]:
    frame_key, _, shown = text.strip().rpartition(":")
    ids = tuple(whole_number(one.strip()) or 0 for one in shown.split(","))
    if not frame_key or not is_group(ids):
        raise UsageError(f"invalid {option} {shortened(text)!r}; write {form}", options=(option,))
    return frame_key, ids


def _joined(ids: Collection[int]) -> str:
    return ", ".join(map(str, sorted(ids)))


def _described(option: str, change: Mapping[int, int]) -> str:
    if option == "swap":
        return f"objects {' and '.join(map(str, sorted(change)))} are swapped"
    others = _joined(change)
    one = "object" if len(change) == 1 else "objects"
    (into,) = set(change.values())
    return f"{one} {others} merged into object {into}"


def _reject_unfitting(
    renames: Renames, frames: PromptFrames, prompts: IdsByFrame, ends: IdsByFrame
) -> None:
    gone = merged_away(renames)
    tracked = tracked_objects(renames, prompts, ends)
    for frame_index, change in sorted(renames.items()):
        where = frames.label(frame_index)
        earlier = {i for f, ids in gone.items() if f < frame_index for i in ids}
        known = tracked[frame_index] - earlier
        if unknown := {*change, *change.values()} - known:
            raise PromptError(
                f"object {min(unknown)} cannot be swapped or merged on {where}: it is not tracked "
                "there",
                options=("swap", "merge"),
            )
    for since, ids in gone.items():
        for frame_index, marked in sorted(prompts.items()):
            if frame_index > since and (both := ids & set(marked)):
                raise PromptError(
                    f"object {min(both)} has a mask or a box on {frames.label(frame_index)}, but "
                    f"it is part of another object since {frames.label(since)}; mark that one",
                    options=("masks", "box", "merge"),
                )


def _reject_marks(change: Mapping[int, int], marked: Collection[int], where: str) -> None:
    if both := change.keys() & set(marked):
        raise PromptError(
            f"object {min(both)} has another mark on {where}, on which it is swapped or merged; "
            "remove one of the two",
            options=("swap", "merge"),
        )
