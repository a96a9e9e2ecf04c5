"""When a followed object is fine-tuned again, and on which frames (paper, section 3.3).

With f₀ the annotated frame and S the interval, round k covers S frames from f₀ + 1 + kS on. Round
0 uses the weights of the first fine-tuning. Before round k ≥ 1, which begins at frame r, the
network is fine-tuned on the frames that were given and on r − d for d = S − min(S, B) + 1 … S − 1
with their own masks: r − 3 and r − 4 in the paper's setting, not the two most recent ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from maskcast.core.types import Frame


@dataclass(frozen=True, eq=False)
class AnnotatedFrame:
    """A frame and the object's mask on it, given or predicted; empty where it is absent."""

    frame: Frame
    mask: Bool[Tensor, "height width"]


ABSENCES = 4
"""Absences of an object that are learnt from, one frame of each."""


@dataclass(frozen=True, eq=False)
class Round:
    """What a fine-tuning round learns from: enough to run it again to the same bits."""

    number: int
    """Counts rounds and corrections of the object; part of the seed."""
    frames: tuple[AnnotatedFrame, ...]


def with_absence(
    absences: Sequence[AnnotatedFrame], marked: AnnotatedFrame, *, goes_on: bool
) -> tuple[AnnotatedFrame, ...]:
    """Return the frames without the object to learn from: the last one of the latest absences.

    Args:
        absences: the oldest first.
        marked: the present frame, with an empty mask.
        goes_on: whether the frame before was marked too, so that this one takes its place.
    """
    earlier = absences[:-1] if goes_on else absences
    return (*earlier, marked)[-ABSENCES:]


def opens_round(frames_since_start: int, interval: int) -> bool:
    """Whether a round k ≥ 1 begins with this frame; f₀ + 1 counts as 1."""
    return frames_since_start > interval and (frames_since_start - 1) % interval == 0


def past_offsets(interval: int, batch: int) -> range:
    """How far before a round's first frame its own past frames lie, nearest first."""
    return range(interval - min(interval, batch) + 1, interval)


def is_kept(frames_since_start: int, interval: int, batch: int) -> bool:
    """Whether the round after this frame will learn from it."""
    next_opening = (frames_since_start - 1) // interval * interval + interval + 1
    return next_opening - frames_since_start in past_offsets(interval, batch)


def round_frames(
    marked: Sequence[AnnotatedFrame], past: Sequence[AnnotatedFrame]
) -> tuple[AnnotatedFrame, ...]:
    """Given frames first, then past ones, nearest first; where the object was lost, none.

    Args:
        past: in order of time.
    """
    return (*marked, *(frame for frame in reversed(past) if bool(frame.mask.any())))
