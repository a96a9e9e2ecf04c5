"""Find the objects that are tracked on a frame but missing in its masks.

A corrected mask shows the whole frame: objects that are tracked there and that it lacks are absent.
Any other mask says nothing about them. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from maskcast.core.errors import PromptError
from maskcast.io.prompts.frames import PromptFrames

IdsByFrame: TypeAlias = Mapping[int, Collection[int]]
"""Object ids by frame index."""

MOST_FRAMES = 3
"""Number of frames that a line of the report names."""


def tracked_objects(
    frames: Iterable[int], shown: IdsByFrame, ends: IdsByFrame, *, goes_backward: bool = False
) -> dict[int, frozenset[int]]:
    """Return the ids of the objects that began before a frame and have not ended.

    Args:
        frames: indices of the frames of interest.
        shown: ids of the objects with a mask or box on a frame.
        ends: ids of the objects that are removed before a frame.
        goes_backward: whether a backward pass also tracks objects before their first mask or box.
    """
    first: dict[int, int] = {}
    for frame_index in sorted(shown, reverse=True):
        first.update(dict.fromkeys(shown[frame_index], frame_index))
    wanted = set(frames)
    tracked: dict[int, frozenset[int]] = {}
    begun: set[int] = set()
    for frame_index in sorted({*shown, *ends, *wanted}):
        begun -= set(ends.get(frame_index, ()))
        if frame_index in wanted:
            later = {i for i, begins in first.items() if goes_backward and begins > frame_index}
            tracked[frame_index] = frozenset(begun | later)
        begun |= set(shown.get(frame_index, ()))
    return tracked


def reject_untracked(absent: IdsByFrame, tracked: IdsByFrame, frames: PromptFrames) -> None:
    """Reject absences of objects that are not tracked on their frame. Raises ``PromptError``."""
    for frame_index, ids in sorted(absent.items()):
        if untracked := set(ids) - set(tracked[frame_index]):
            raise PromptError(
                f"object {min(untracked)} is marked as absent on {frames.label(frame_index)} but "
                "is not tracked there; mark it on an earlier frame, or remove the absence",
                options=("absent",),
            )


def lacking(frames: Iterable[int], tracked: IdsByFrame, marked: IdsByFrame) -> dict[int, set[int]]:
    """Return the ids of tracked objects without any mark on a frame, where there are some.

    Args:
        frames: indices of frames.
        tracked: ids of the objects that are tracked on each of these frames.
        marked: ids of the objects with a mask, a box or an absence on a frame.
    """
    lacked = {frame: set(tracked[frame]) - set(marked.get(frame, ())) for frame in frames}
    return {frame: ids for frame, ids in sorted(lacked.items()) if ids}


def report_absent(lacked: IdsByFrame, frames: PromptFrames) -> list[str]:
    """Return one line per corrected frame that lacks objects."""
    return [
        f"{frames.label(frame)}: {_named(ids)} {'is' if len(ids) == 1 else 'are'} absent, because "
        "the corrected mask does not show "
        f"{'it' if len(ids) == 1 else 'them'}"
        for frame, ids in lacked.items()
    ]


def report_lacking(lacked: IdsByFrame, frames: PromptFrames) -> list[str]:
    """Return at most one line, about the objects that other masks lack."""
    if not lacked:
        return []
    shown = [f"{_named(ids)} on {frames.label(frame)}" for frame, ids in lacked.items()]
    if len(shown) > MOST_FRAMES:
        shown[MOST_FRAMES:] = [f"others on further frames ({len(shown) - MOST_FRAMES})"]
    return [
        f"the masks do not show {'; '.join(shown)}: tracking goes on as before; give a mask as a "
        "corrected one if the objects that it lacks are absent"
    ]


def _named(ids: Collection[int]) -> str:
    return ("object " if len(ids) == 1 else "objects ") + ", ".join(map(str, sorted(ids)))
