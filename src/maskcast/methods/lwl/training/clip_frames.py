"""Draw the frames of a training clip from a video: by LWL's rules, or with an absence.

Indices count the annotated frames of the video. The first frame of a clip is the train frame, the
others are test frames in temporal order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from maskcast.methods.lwl.training.clip_settings import ClipSampling


@dataclass(frozen=True)
class ClipFrames:
    """Indices of a clip's frames among the annotated frames of its video."""

    train: int
    test: tuple[int, ...]
    """Test frames in ascending order; frames may repeat."""


def draw_clip_frames(
    generator: np.random.Generator,
    visible: NDArray[np.bool_],
    test_frames: int,
    sampling: ClipSampling,
) -> ClipFrames | None:
    """Draw the train frame, then test frames after it, with replacement and in temporal order.

    Args:
        generator: source of random numbers.
        visible: whether the object is visible on each annotated frame.
        test_frames: number of test frames.
        sampling: settings.

    Returns:
        the frames, or None if ``sampling.tries`` attempts fail.
    """
    gap = sampling.max_gap
    before = np.concatenate([[0], np.cumsum(visible)])
    for _ in range(sampling.tries):
        bases = np.flatnonzero(visible[: max(0, len(visible) - test_frames)])
        if len(bases) == 0:
            return None
        base = int(bases[generator.integers(len(bases))])
        earlier = before[base] - before[max(0, base - gap)]
        later = np.flatnonzero(visible[base + 1 : base + gap]) + base + 1
        if (earlier or not sampling.needs_earlier_frame) and len(later):
            test = np.sort(_draw_frames(generator, later, test_frames, sampling))
            return ClipFrames(base, tuple(map(int, test)))
        gap += sampling.gap_step
    return None


def _draw_frames(
    generator: np.random.Generator,
    frames: NDArray[np.int64],
    count: int,
    sampling: ClipSampling,
) -> NDArray[np.int64]:
    """Draw frames; if they must be distinct, repeat them only if there are too few."""
    if not sampling.distinct:
        return frames[generator.integers(len(frames), size=count)]
    shuffled = [generator.permutation(frames) for _ in range(-(-count // len(frames)))]
    return np.concatenate(shuffled)[:count]


RETURNING = 0.75
"""Probability that the object returns in a clip with an absence, if both kinds are available."""


def draw_absence(
    generator: np.random.Generator,
    pixels: Int64[np.ndarray, " frames"],
    test_frames: int,
    sampling: ClipSampling,
) -> ClipFrames | None:
    """Draw a clip in which the object is visible, then absent, then possibly visible again.

    First one absence of the object is drawn, then the train frame before it, then how many test
    frames lie before, in and after the absence, and which. All frames lie within
    ``sampling.max_gap`` of the train frame. Frames with only a few pixels of the object are not
    drawn.

    Args:
        generator: source of random numbers.
        pixels: number of pixels of the object on each annotated frame.
        test_frames: number of test frames.
        sampling: settings.

    Returns:
        the frames in temporal order, or None if the object is never absent within reach.
    """
    visible, absent = pixels > sampling.smallest_object, pixels == 0
    absences = _absences_within(visible, absent, sampling.max_gap)
    returning = [absence for absence in absences if len(absence.after)]
    if returning and len(returning) < len(absences) and test_frames > 1:
        wanted = generator.uniform() < RETURNING
        absences = [absence for absence in absences if bool(len(absence.after)) == wanted]
    if not absences:
        return None
    drawn = absences[int(generator.integers(len(absences)))]
    train = int(drawn.before[int(generator.integers(len(drawn.before)))])
    earlier = drawn.before[drawn.before > train]
    during = drawn.during[drawn.during < train + sampling.max_gap]
    after = drawn.after[drawn.after < train + sampling.max_gap]
    parts = (earlier, during, after if test_frames > 1 else after[:0])
    counts = _allot(generator, [len(part) for part in parts], test_frames)
    if sampling.distinct:
        counts = _spread([len(part) for part in parts], counts)
    frames = [
        _draw_frames(generator, part, count, sampling)
        for part, count in zip(parts, counts, strict=True)
        if count
    ]
    return ClipFrames(train, tuple(map(int, np.sort(np.concatenate(frames)))))


def _allot(generator: np.random.Generator, sizes: Sequence[int], count: int) -> list[int]:
    """Draw how many test frames lie before, in and after an absence.

    At least one lies in the absence, and at least one after it if there are frames after it.
    """
    returns = int(sizes[2] > 0)
    during = int(generator.integers(1, count - returns + 1))
    after = int(generator.integers(1, count - during + 1)) if returns else 0
    before = count - during - after
    if sizes[0] == 0:
        return [0, during, after + before] if returns else [0, count, 0]
    return [before, during, after]


def _spread(sizes: Sequence[int], counts: Sequence[int]) -> list[int]:
    """Move counts that exceed the size of a part to parts with room, the later ones first."""
    room = [max(0, size - count) for size, count in zip(sizes, counts, strict=True)]
    fitting = [min(size, count) for size, count in zip(sizes, counts, strict=True)]
    over = sum(counts) - sum(fitting)
    for part in (2, 1, 0):
        moved = min(over, room[part])
        fitting[part] += moved
        over -= moved
    fitting[1] += over  # too few frames in total: those of the absence repeat
    return fitting


@dataclass(frozen=True)
class _Absence:
    """A run of frames without the object, and the visible frames around it."""

    before: NDArray[np.int64]
    """Visible frames before the absence, within reach of its first frame."""
    during: NDArray[np.int64]
    """Frames of the absence."""
    after: NDArray[np.int64]
    """Visible frames between the absence and the next one."""


def _absences_within(
    visible: NDArray[np.bool_], absent: NDArray[np.bool_], reach: int
) -> list[_Absence]:
    """List the absences that begin within ``reach`` of a visible frame."""
    shown, absences = np.flatnonzero(visible), []
    gone = np.flatnonzero(absent)
    # absent frames with the same number of visible frames before them form one absence
    order = np.searchsorted(shown, gone)
    for count in np.unique(order[order > 0]):
        during = gone[order == count]
        before = shown[:count]
        before = before[before > during[0] - reach]
        later = order[order > count]
        after = shown[count : later[0] if len(later) else len(shown)]
        after = after[after < during[0] + reach]
        if len(before):
            absences.append(_Absence(before, during, after))
    return absences
