"""The schedule of online adaptation: its rounds, and the frames used in each (paper, section 3.3).

Let f₀ be the annotated frame, S the interval and B the batch size. Round k covers S frames from
f₀ + 1 + kS on. Round 0 uses the weights of the first fine-tuning. Before round k ≥ 1, which starts
at frame r, the network is fine-tuned on the annotated frames and on the frames r − d, for
d = S − min(S, B) + 1 … S − 1, with their predicted masks. With the paper's settings these are r − 3
and r − 4, not the two most recent frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from maskcast.core.types import Frame


@dataclass(frozen=True, eq=False)
class AnnotatedFrame:
    """A frame and the object's mask on it, given or predicted; empty if the object is absent."""

    frame: Frame
    mask: Bool[Tensor, "height width"]


ABSENCES = 4
"""Maximum number of absences of an object that are used in adaptation, one frame of each."""


@dataclass(frozen=True, eq=False)
class Round:
    """The input of a fine-tuning round, from which it can be repeated with identical results."""

    number: int
    """Number of the round, counting corrections too; part of the seed."""
    frames: tuple[AnnotatedFrame, ...]


def with_absence(
    absences: Sequence[AnnotatedFrame], marked: AnnotatedFrame, *, goes_on: bool
) -> tuple[AnnotatedFrame, ...]:
    """Return the frames without the object for adaptation: the last one of each recent absence.

    The oldest is first. If the absence goes on, the marked frame replaces the previous one.
    """
    earlier = absences[:-1] if goes_on else absences
    return (*earlier, marked)[-ABSENCES:]


def opens_round(frames_since_start: int, interval: int) -> bool:
    """Return whether a round k ≥ 1 starts with this frame; f₀ + 1 counts as 1."""
    return frames_since_start > interval and (frames_since_start - 1) % interval == 0


def past_offsets(interval: int, batch: int) -> range:
    """Return the distances d of the past frames from the first frame of a round, nearest first."""
    return range(interval - min(interval, batch) + 1, interval)


def is_kept(frames_since_start: int, interval: int, batch: int) -> bool:
    """Return whether the next round will use this frame."""
    next_opening = (frames_since_start - 1) // interval * interval + interval + 1
    return next_opening - frames_since_start in past_offsets(interval, batch)


def round_frames(
    marked: Sequence[AnnotatedFrame], past: Sequence[AnnotatedFrame]
) -> tuple[AnnotatedFrame, ...]:
    """Return the given frames, then the past frames with a non-empty mask, the latest first."""
    return (*marked, *(frame for frame in reversed(past) if bool(frame.mask.any())))
