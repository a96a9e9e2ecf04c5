"""Which data sets there are, by the names that commands use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from maskcast.core.errors import MissingFileError, UsageError
from maskcast.data.dataset import Dataset
from maskcast.data.davis import HIDDEN_TRUTH, open_davis
from maskcast.data.folder import open_folder
from maskcast.data.listing import Purpose
from maskcast.data.lvos import open_lvos
from maskcast.data.mose import open_mose
from maskcast.data.sa_v import open_sa_v
from maskcast.data.youtube_vos import open_youtube_vos


@dataclass(frozen=True)
class DatasetKind:
    """One data set as commands know it."""

    title: str
    open: Callable[..., Dataset]
    """``open(root, purpose=…, split=…, …)``."""
    splits: tuple[str, ...]
    """The default first; empty: it has none."""
    choices: tuple[str, ...] = ()
    """Which further choices ``open`` takes: ``resolution``, ``all_frames``."""
    hidden: tuple[str, ...] = ()
    """Splits whose truth is on a server; what is public are the given masks."""


_VOS_SPLITS = ("valid", "train", "test")
_DAVIS_2017_SPLITS = ("val", "train", "test-dev", "test-challenge")

DATASETS: Mapping[str, DatasetKind] = {
    "davis2016": DatasetKind(
        "DAVIS 2016", partial(open_davis, year=2016), ("val", "train"), ("resolution",)
    ),
    "davis2017": DatasetKind(
        "DAVIS 2017",
        partial(open_davis, year=2017),
        _DAVIS_2017_SPLITS,
        ("resolution",),
        HIDDEN_TRUTH,
    ),
    "youtube-vos-2018": DatasetKind(
        "YouTube-VOS 2018",
        partial(open_youtube_vos, year=2018),
        _VOS_SPLITS,
        ("all_frames",),
        ("valid", "test"),
    ),
    "youtube-vos-2019": DatasetKind(
        "YouTube-VOS 2019",
        partial(open_youtube_vos, year=2019),
        _VOS_SPLITS,
        ("all_frames",),
        ("valid", "test"),
    ),
    "mose": DatasetKind("MOSE v1", open_mose, ("valid", "train"), hidden=("valid",)),
    "mose-v2": DatasetKind(
        "MOSE v2", partial(open_mose, version=2), ("valid", "train"), hidden=("valid", "train")
    ),
    "lvos": DatasetKind("LVOS v1, v2", open_lvos, _VOS_SPLITS, hidden=("test",)),
    "sa-v": DatasetKind("SA-V", open_sa_v, ("val", "test")),
    "folder": DatasetKind("a folder of videos with masks", open_folder, ()),
}


def open_dataset(
    name: str,
    root: Path,
    *,
    split: str | None = None,
    purpose: Purpose = "segment",
    resolution: str | None = None,
    all_frames: bool = False,
) -> Dataset:
    """Open a data set by the name that commands use.

    Args:
        name: a key of ``DATASETS``.
        root: the folder its page unpacks to.
        split: by default the validation split.
        purpose: decides what must be there.
        resolution: of DAVIS only: 480p, 1080p or Full-Resolution.
        all_frames: of YouTube-VOS only: the images at 30 frames per second.

    Raises:
        UsageError: there is no such data set, split, or choice.
        MissingFileError: there is no folder ``root``.
        DatasetError: all that is wrong with it, in one message.
    """
    kind = DATASETS.get(name)
    if kind is None:
        raise UsageError(f"there is no data set {name!r}; known: {', '.join(DATASETS)}")
    if split is not None and split not in kind.splits:
        known = ", ".join(kind.splits) or "none"
        raise UsageError(f"{kind.title} has no split {split!r}; known: {known}")
    given = {"resolution": resolution, "all_frames": all_frames or None}
    choices = {choice: value for choice, value in given.items() if value is not None}
    wrong = sorted(set(choices) - set(kind.choices))
    if wrong:
        raise UsageError(f"{kind.title} takes no --{wrong[0].replace('_', '-')}")
    if not root.is_dir():
        raise MissingFileError(f"there is no folder {root}; --root is where {kind.title} lies")
    if kind.splits:
        choices["split"] = split or kind.splits[0]
    return kind.open(root, purpose=purpose, **choices)
