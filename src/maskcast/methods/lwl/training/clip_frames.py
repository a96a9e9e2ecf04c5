"""Which frames of a video make a training clip: LWL's rules, and clips with an absence.

Frames are counted among the annotated ones. The first frame of a clip is the train frame, the
others are test frames in time order.
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
    """The places of a clip's frames among the annotated frames of its video."""

    train: int
    test: tuple[int, ...]
    """Rising; a frame may come twice."""


def draw_clip_frames(
    generator: np.random.Generator,
    visible: NDArray[np.bool_],
    test_frames: int,
    sampling: ClipSampling,
) -> ClipFrames | None:
    """Draw the train frame, then the test frames after it, with replacement and in time order.

    Args:
        visible: for each annotated frame, whether the object is visible.

    Returns:
        The frames, or None if none were found in ``sampling.tries`` tries.
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
            test = np.sort(_draw_places(generator, later, test_frames, sampling))
            return ClipFrames(base, tuple(int(place) for place in test))
        gap += sampling.gap_step
    return None


def _draw_places(
    generator: np.random.Generator,
    places: NDArray[np.int64],
    count: int,
    sampling: ClipSampling,
) -> NDArray[np.int64]:
    """Draw from places; a place comes again only if allowed, or if there are too few."""
    if not sampling.distinct:
        return places[generator.integers(len(places), size=count)]
    shuffled = [generator.permutation(places) for _ in range(-(-count // len(places)))]
    return np.concatenate(shuffled)[:count]


RETURNING = 0.75
"""Share of the clips with absent frames in which the object returns, where it ever does."""


def draw_absence(
    generator: np.random.Generator,
    pixels: Int64[np.ndarray, " frames"],
    test_frames: int,
    sampling: ClipSampling,
) -> ClipFrames | None:
    """Draw a clip in which the object is visible, then absent, then perhaps visible again.

    One absence of the object is drawn first, then the train frame before it, then how many test
    frames are before, in and after the absence, and which. All frames are within
    ``sampling.max_gap`` of the train frame. Frames with a few pixels of the object are not drawn.

    Args:
        pixels: of the object, for each annotated frame.

    Returns:
        The frames in time order, or None if the object is never absent within reach.
    """
    visible, absent = pixels > sampling.smallest_object, pixels == 0
    absences = _absences_within(visible, absent, sampling.max_gap)
    returning = [each for each in absences if len(each.after)]
    if returning and len(returning) < len(absences) and test_frames > 1:
        wanted = generator.uniform() < RETURNING
        absences = [each for each in absences if bool(len(each.after)) == wanted]
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
    places = [
        _draw_places(generator, part, count, sampling)
        for part, count in zip(parts, counts, strict=True)
        if count
    ]
    return ClipFrames(train, tuple(int(place) for place in np.sort(np.concatenate(places))))


def _allot(generator: np.random.Generator, sizes: Sequence[int], count: int) -> list[int]:
    """Draw how many test frames are before, in and after an absence; of each, where it has any.

    At least one is in the absence, and at least one after it.
    """
    returns = int(sizes[2] > 0)
    during = int(generator.integers(1, count - returns + 1))
    after = int(generator.integers(1, count - during + 1)) if returns else 0
    before = count - during - after
    if sizes[0] == 0:
        return [0, during, after + before] if returns else [0, count, 0]
    return [before, during, after]


def _spread(sizes: Sequence[int], counts: Sequence[int]) -> list[int]:
    """Move what a part is too small for to the parts that have more, the later ones first."""
    room = [max(0, size - count) for size, count in zip(sizes, counts, strict=True)]
    fitting = [min(size, count) for size, count in zip(sizes, counts, strict=True)]
    over = sum(counts) - sum(fitting)
    for part in (2, 1, 0):
        moved = min(over, room[part])
        fitting[part] += moved
        over -= moved
    fitting[1] += over  # there are not enough frames: those of the absence repeat
    return fitting


@dataclass(frozen=True)
class _Absence:
    """A stretch of frames without the object, and the visible frames around it."""

    before: NDArray[np.int64]
    """Visible frames from which the first frame of ``during`` is within reach."""
    during: NDArray[np.int64]
    after: NDArray[np.int64]
    """Visible frames before the next absence."""


def _absences_within(
    visible: NDArray[np.bool_], absent: NDArray[np.bool_], reach: int
) -> list[_Absence]:
    """List the absences that begin within ``reach`` of a visible frame."""
    shown, found = np.flatnonzero(visible), []
    gone = np.flatnonzero(absent)
    # absences with the same number of visible frames before them are one
    order = np.searchsorted(shown, gone)
    for count in np.unique(order[order > 0]):
        during = gone[order == count]
        before = shown[:count]
        before = before[before > during[0] - reach]
        later = order[order > count]
        after = shown[count : later[0] if len(later) else len(shown)]
        after = after[after < during[0] + reach]
        if len(before):
            found.append(_Absence(before, during, after))
    return found
