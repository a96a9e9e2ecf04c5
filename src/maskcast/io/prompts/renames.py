"""Swaps and merges of objects as text: ``FRAME:ID,ID``. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from maskcast.core.errors import PromptError, UsageError
from maskcast.core.numbers import shortened, whole_number
from maskcast.core.renames import NO_RENAMES, Renames
from maskcast.io.label_maps import LARGEST_ID
from maskcast.io.prompts.frames import PromptFrames
from maskcast.io.prompts.whole_frames import IdsByFrame, tracked_objects


def parse_swap(text: str) -> tuple[str, dict[int, int]]:
    """Parse ``FRAME:ID,ID`` into a frame key and a swap. Raises ``UsageError``."""
    frame_key, ids = _parse(text, "swap", "FRAME:ID,ID, such as 120:1,2")
    if len(ids) != 2:
        raise UsageError(
            f"swap {shortened(text)!r} must name two objects, got {len(ids)}", options=("swap",)
        )
    return frame_key, {ids[0]: ids[1], ids[1]: ids[0]}


def parse_merge(text: str) -> tuple[str, dict[int, int]]:
    """Parse ``FRAME:ID,ID[,ID]`` into a frame key and a merge into the first object.

    Raises:
        UsageError: the text has another form.
    """
    frame_key, ids = _parse(text, "merge", "FRAME:ID,ID[,ID], such as 120:1,2")
    return frame_key, dict.fromkeys(ids[1:], ids[0])


def settle_renames(
    swaps: Sequence[str],
    merges: Sequence[str],
    frames: PromptFrames,
    *,
    prompts: IdsByFrame,
    ends: IdsByFrame,
    absent: IdsByFrame,
    report: list[str],
) -> Renames:
    """Return swaps and merges by frame index.

    Args:
        swaps: swaps as ``FRAME:ID,ID``.
        merges: merges as ``FRAME:ID,ID[,ID]``; the other objects become part of the first one.
        frames: the frames of the video.
        prompts: ids of the objects with a mask or box on a frame, by frame index.
        ends: ids of the objects that are removed before a frame, by frame index.
        absent: ids of the objects that are absent on a frame, by frame index.
        report: list to which a line of text per swap and merge is appended.

    Raises:
        UsageError: a text is malformed.
        PromptError: a frame does not exist, an object is not tracked there, is part of another one,
            or has another mark on the frame.
    """
    typed = [("swap", text, *parse_swap(text)) for text in swaps]
    typed += [("merge", text, *parse_merge(text)) for text in merges]
    if not typed:
        return NO_RENAMES
    renames: dict[int, dict[int, int]] = {}
    for option, text, frame_key, change in typed:
        frame_index = frames.find(frame_key)
        if frame_index is None:
            raise PromptError(
                f"{option} {shortened(text)}: frame {shortened(frame_key)} does not exist; "
                f"{frames.known()}",
                options=(option,),
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


def _parse(text: str, option: str, form: str) -> tuple[str, list[int]]:
    frame_key, _, shown = text.strip().rpartition(":")
    ids = [whole_number(one.strip()) or 0 for one in shown.split(",")]
    distinct = len(set(ids)) == len(ids) >= 2
    if not frame_key or not distinct or not all(1 <= number <= LARGEST_ID for number in ids):
        raise UsageError(f"invalid {option} {shortened(text)!r}; write {form}", options=(option,))
    return frame_key, ids


def _described(option: str, change: Mapping[int, int]) -> str:
    if option == "swap":
        return f"objects {' and '.join(map(str, sorted(change)))} are swapped"
    others = ", ".join(map(str, sorted(change)))
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
