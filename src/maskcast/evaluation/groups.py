"""Assign the objects of a data set to the seen and unseen groups of its benchmark.

The entry of the benchmark in ``data.catalogue`` defines which objects are unseen.
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
    """Return the group of each object by ``video_id``.

    None means that the benchmark has no groups, or that the unseen names are not known.

    Args:
        dataset: opened for scoring.
        unseen: file that lists the unseen categories (YouTube-VOS) or videos (LVOS), one per line;
            default: taken from the files of the data set.

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
        for item in video.objects:
            label = video.name if rule.by == "video" else item.category or ""
            groups[object_name(video, item.object_id)] = "unseen" if label in names else "seen"
    return groups
