"""The protocol by which long-running functions report their progress."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Progress(Protocol):
    """A callable that long-running functions call after each finished part of their work.

    The kinds of work in this package, and what is counted:

    =============================  ==========================================================
    ``frames``, ``backward``       frames segmented in each direction
    ``fine-tuning on object ID``   fine-tuning steps
    ``exports``                    frames written to all exports
    ``reading FILE``               seconds of a video that are indexed
    ``ids``                        frames whose masks get other ids after a swap or a merge
    ``prompts``                    frames whose masks and boxes are drawn
    ``joining FILE``               frames written to one video from its parts
    ``videos``, ``scoring``        videos of a data set segmented, scored
    ``download``                   bytes
    =============================  ==========================================================

    The call runs in the thread that does the work, so it should return quickly. An exception that
    it raises stops the work as an error of the work itself would: what was finished is kept.
    """

    def __call__(self, work: str, done: int, total: int | None, /) -> None:
        """Report progress.

        Args:
            work: the kind of work. The kinds may alternate, and one may begin again after its end.
            done: parts finished, those of an earlier, resumed run included.
            total: all parts; None if unknown.
        """
