"""Compare runs that were scored on different videos, on those that all of them have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from maskcast.core.numbers import counted
from maskcast.evaluation.scores import Scores

MOST_NAMES = 5
"""Videos that a line names."""


def common_videos(runs: Sequence[Scores]) -> set[str]:
    """Return the names of the videos that every run has."""
    return set.intersection(*(set(run.videos) for run in runs))


def describe_missing(names: Sequence[str], runs: Sequence[Scores]) -> list[str]:
    """Return a line for each run that lacks videos of the others, and one about the comparison.

    Args:
        names: names of the runs.
        runs: their scores.
    """
    every = set().union(*(run.videos for run in runs))
    lines = []
    for name, run in zip(names, runs, strict=True):
        if lacking := sorted(every - set(run.videos)):
            shown = ", ".join(lacking[:MOST_NAMES]) + " …" * (len(lacking) > MOST_NAMES)
            lines.append(f"{name} lacks {len(lacking)} of {counted(len(every), 'video')}: {shown}")
    if lines:
        count = len(common_videos(runs))
        lines.append(
            "the figures of a run are of its own videos; to compare runs, see the column of the "
            f"common videos ({count}), which are also those of the differences below"
        )
    return lines


def overall_on(videos: set[str], run: Scores) -> float | None:
    """Return the mean J&F over the objects of some videos; None if there are none."""
    values = [float(o["J&F"]) for o in run.objects.values() if o["video"] in videos]
    return float(np.mean(values)) if values else None
