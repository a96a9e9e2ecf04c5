"""Which objects a benchmark calls seen and which unseen in training.

YouTube-VOS: by category, unseen is what the training split lacks. LVOS: by video, from the list
``unseen_videos.txt`` of its evaluation tool.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from maskcast.core.errors import UsageError
from maskcast.data.dataset import Dataset, Faults
from maskcast.data.listing import read_names
from maskcast.data.youtube_vos import train_categories
from maskcast.evaluation.scores import object_name
from maskcast.metrics.protocols import Group, ScoringProtocol

UNSEEN_VIDEOS = "unseen_videos.txt"


def groups_of(
    dataset: Dataset, protocol: ScoringProtocol, unseen: Path | None = None
) -> dict[str, Group] | None:
    """Return seen or unseen by ``video_id``; None where the data set has no groups or no list.

    Args:
        dataset: opened for scoring.
        protocol: of its benchmark.
        unseen: a list, one a line, of unseen categories (YouTube-VOS) or videos (LVOS); without
            it the training split's ``meta.json`` or ``unseen_videos.txt`` below the root is taken.

    Raises:
        UsageError: a list was given for a data set without groups.
        DatasetError: the list cannot be read, or names nothing that is there.
    """
    if not protocol.grouped:
        if unseen is not None:
            raise UsageError(f"{protocol.name} has no unseen group, so it takes no list of one")
        return None
    by_video = dataset.name == "lvos"
    if unseen is None and by_video:
        places = [dataset.root / UNSEEN_VIDEOS, dataset.root / dataset.split / UNSEEN_VIDEOS]
        unseen = next((path for path in places if path.is_file()), None)
    known = None if by_video or unseen is not None else train_categories(dataset.root)
    if unseen is None and known is None:
        return None
    listed = frozenset[str]() if unseen is None else _listed(unseen)
    groups: dict[str, Group] = {}
    for video in dataset:
        for each in video.objects:
            label = video.name if by_video else each.category
            is_unseen = label in listed if known is None else label not in known
            groups[object_name(video, each.object_id)] = "unseen" if is_unseen else "seen"
    return groups


def _listed(path: Path) -> Collection[str]:
    faults = Faults(f"the list of unseen names {path}")
    names = frozenset(read_names(path, faults))
    faults.raise_if_any()
    return names
