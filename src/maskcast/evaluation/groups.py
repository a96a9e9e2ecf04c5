"""Which objects of a data set belong to the seen and which to the unseen group of its benchmark.

How a benchmark defines the unseen group is a part of its entry in ``data.catalogue``.
"""

from __future__ import annotations

from pathlib import Path

from maskcast.core.errors import UsageError
from maskcast.data.catalogue import benchmark_of
from maskcast.data.dataset import Dataset
from maskcast.data.listing import read_unseen
from maskcast.evaluation.scores import object_name
from maskcast.metrics.protocols import Group


def groups_of(dataset: Dataset, unseen: Path | None = None) -> dict[str, Group] | None:
    """Return the group of each object by ``video_id``; None if there are no groups or no list.

    Args:
        dataset: opened for scoring.
        unseen: a list of the unseen categories (YouTube-VOS) or videos (LVOS), one per line; by
            default what the files of the data set say.

    Raises:
        UsageError: a list was given for a data set without groups.
        DatasetError: the list cannot be read, is empty or repeats a name.
    """
    benchmark = benchmark_of(dataset.name)
    rule = benchmark.unseen
    if rule is None:
        if unseen is not None:
            raise UsageError(f"{benchmark.title} has no unseen group", options=("unseen",))
        return None
    names = rule.find(dataset) if unseen is None else read_unseen(unseen)
    if names is None:
        return None
    groups: dict[str, Group] = {}
    for video in dataset:
        for each in video.objects:
            label = video.name if rule.by == "video" else each.category or ""
            groups[object_name(video, each.object_id)] = "unseen" if label in names else "seen"
    return groups
