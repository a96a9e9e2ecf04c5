"""The protocol and the common parts of the readers of video files and frame folders.

picture   height × width × 3   RGB, 8 bits
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from maskcast.core.arrays import Picture
from maskcast.core.errors import FrameError

log = logging.getLogger(__name__)


OnBadFrame: TypeAlias = Literal["stop", "hold"]
"""What to do at an unreadable frame: raise an error, or repeat the frame before it."""


@dataclass(frozen=True)
class Timing:
    """The presentation times of the frames of a video."""

    time_base: Fraction
    """Seconds per tick."""
    ticks: Sequence[int]
    """Presentation time of each frame in ticks, ascending."""

    def seconds(self, frame_index: int) -> Fraction:
        """Return the presentation time of a frame in seconds."""
        return self.ticks[frame_index] * self.time_base

    @property
    def rate(self) -> Fraction:
        """Mean frames per second; 25 for a single frame."""
        duration = (self.ticks[-1] - self.ticks[0]) * self.time_base
        return (len(self.ticks) - 1) / duration if duration > 0 else Fraction(25)


@runtime_checkable
class PictureReader(Protocol):
    """A video that can be read from any frame.

    ``names``, ``size`` (height, width) and ``timing`` describe the whole video. ``pictures`` yields
    the frames ``first`` ≤ i < ``last``. ``cut_short`` says whether the file is truncated.
    ``group_start`` returns the frame from which ``frame_index`` must be decoded.
    """

    @property
    def names(self) -> list[str]: ...

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def count(self) -> int: ...

    @property
    def timing(self) -> Timing | None: ...

    def pictures(self, first: int, last: int, on_bad_frame: OnBadFrame) -> Iterator[Picture]: ...

    @property
    def cut_short(self) -> bool: ...

    def group_start(self, frame_index: int) -> int: ...

    def describe(self) -> list[str]: ...


def fill_bad_frame(
    previous: Picture | None, error: FrameError, on_bad_frame: OnBadFrame
) -> Picture:
    """Return the frame before an unreadable one, or raise ``FrameError``, as ``on_bad_frame`` says.

    Args:
        previous: the frame before; None if there is none.
        error: what is wrong with the unreadable frame.
        on_bad_frame: ``"stop"`` raises, ``"hold"`` returns ``previous``.
    """
    if on_bad_frame == "stop":
        raise FrameError(
            f"{error.summary}; to repeat the frame before it, set on_bad_frame to 'hold'",
            options=("on_bad_frame",),
        ) from error
    if previous is None:
        raise FrameError(
            f"{error.summary}, and there is no earlier frame to hold; start at a later frame",
            options=("start",),
        ) from error
    log.warning("%s; holding the frame before it", error)
    return previous


def refuse_other_size(picture: Picture, size: tuple[int, int], what: str) -> None:
    """Raise ``FrameError`` if a frame differs in size from the frames before it."""
    height, width, _ = picture.shape
    if (height, width) != size:
        raise FrameError(
            f"{what} is {width}×{height} but the frames before it are {size[1]}×{size[0]}; all "
            "frames of a video must have the same size"
        )
