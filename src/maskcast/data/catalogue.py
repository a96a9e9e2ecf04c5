"""The catalogue of data sets, by the names that commands use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from maskcast.core.errors import MissingFileError, UsageError
from maskcast.data.dataset import Dataset, UnseenGroup
from maskcast.data.listing import Purpose, read_list
from maskcast.data.readers import lvos, youtube_vos
from maskcast.data.readers.davis import HIDDEN_SPLITS, open_davis
from maskcast.data.readers.folder import open_folder
from maskcast.data.readers.lvos import open_lvos
from maskcast.data.readers.mose import open_mose
from maskcast.data.readers.sa_v import open_sa_v
from maskcast.data.readers.youtube_vos import open_youtube_vos
from maskcast.metrics.protocols import ScoringProtocol


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The entry of one data set in the catalogue."""

    title: str
    """Name in messages."""
    open: Callable[..., Dataset]
    """Reader, called as ``open(root, purpose=…, split=…, …)``."""
    splits: tuple[str, ...] = ()
    """Names of the splits, with the default first; empty if there are none."""
    choices: tuple[str, ...] = ()
    """Further parameters of ``open``: ``resolution``, ``all_frames``."""
    hidden: tuple[str, ...] = ()
    """Splits whose ground truth is not public, except for the first masks."""
    protocol: ScoringProtocol | None = None
    """Rules of scoring; None if results cannot be scored by this package."""
    server_prefix: str | None = None
    """Outer folder of the videos in an archive for the benchmark's server, with a trailing slash;
    empty if there is no such folder, None if there is no server."""
    unseen: UnseenGroup | None = None
    """Definition of the unseen objects, which ``protocol.grouped`` averages separately."""


_VOS_SPLITS = ("valid", "train", "test")
_YOUTUBE_VOS = Benchmark(
    title="YouTube-VOS",
    open=open_youtube_vos,
    splits=_VOS_SPLITS,
    choices=("all_frames",),
    hidden=("valid", "test"),
    protocol=ScoringProtocol(name="YouTube-VOS", skip_last=False, grouped=True),
    server_prefix="Annotations/",
    unseen=youtube_vos.UNSEEN,
)

DATASETS: Mapping[str, Benchmark] = {
    "davis2016": Benchmark(
        title="DAVIS 2016",
        open=partial(open_davis, year=2016),
        splits=("val", "train"),
        choices=("resolution",),
        protocol=ScoringProtocol(name="DAVIS", void="background"),
    ),
    "davis2017": Benchmark(
        title="DAVIS 2017",
        open=partial(open_davis, year=2017),
        splits=("val", "train", *HIDDEN_SPLITS),
        choices=("resolution",),
        hidden=HIDDEN_SPLITS,
        protocol=ScoringProtocol(name="DAVIS", void="background"),
        server_prefix="",
    ),
    "youtube-vos-2018": replace(
        _YOUTUBE_VOS, title="YouTube-VOS 2018", open=partial(open_youtube_vos, year=2018)
    ),
    "youtube-vos-2019": replace(
        _YOUTUBE_VOS, title="YouTube-VOS 2019", open=partial(open_youtube_vos, year=2019)
    ),
    "mose": Benchmark(
        title="MOSE v1",
        open=open_mose,
        splits=("valid", "train"),
        hidden=("valid",),
        protocol=ScoringProtocol(name="MOSE v1"),
        server_prefix="",
    ),
    "mose-v2": Benchmark(
        title="MOSE v2",
        open=partial(open_mose, version=2),
        splits=("valid", "train"),
        hidden=("valid", "train"),
        server_prefix="",
    ),
    "lvos": Benchmark(
        title="LVOS v1, v2",
        open=open_lvos,
        splits=_VOS_SPLITS,
        hidden=("test",),
        protocol=ScoringProtocol(name="LVOS", grouped=True, varies=True),
        server_prefix="Annotations/",
        unseen=lvos.UNSEEN,
    ),
    "sa-v": Benchmark(
        title="SA-V",
        open=open_sa_v,
        splits=("val", "test"),
        protocol=ScoringProtocol(name="SA-V"),
        server_prefix="",
    ),
    "folder": Benchmark(
        title="videos with masks",
        open=open_folder,
        protocol=ScoringProtocol(name="folder", skip_first=False, skip_last=False),
    ),
}
"""Data sets by the name that commands use. A new data set needs a reader and an entry here."""


def benchmark_of(name: str) -> Benchmark:
    """Return the entry of a data set.

    Raises:
        UsageError: the data set is unknown.
    """
    if name not in DATASETS:
        raise UsageError(
            f"unknown data set {name!r}; available: {', '.join(DATASETS)}", options=("dataset",)
        )
    return DATASETS[name]


def protocol_of(name: str) -> ScoringProtocol:
    """Return the scoring rules of a data set.

    Raises:
        UsageError: the data set is unknown, or its results cannot be scored.
    """
    protocol = benchmark_of(name).protocol
    if protocol is None:
        known = ", ".join(key for key, entry in DATASETS.items() if entry.protocol)
        raise UsageError(
            f"results on {name} cannot be scored; available: {known}", options=("dataset",)
        )
    return protocol


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
        root: folder of the data set, as unpacked.
        split: name of the split; default: the validation split.
        purpose: determines which files are required.
        resolution: DAVIS only: 480p, 1080p or Full-Resolution.
        all_frames: YouTube-VOS only: use the images at 30 frames per second.

    Raises:
        UsageError: the data set or the split is unknown, or an argument does not apply to it.
        MissingFileError: the folder ``root`` does not exist.
        DatasetError: the data set is incomplete; the error lists all problems.
    """
    benchmark = benchmark_of(name)
    if split is not None and split not in benchmark.splits:
        known = ", ".join(benchmark.splits) or "none"
        raise UsageError(
            f"{benchmark.title} has no split {split!r}; available: {known}", options=("split",)
        )
    chosen = {"resolution": resolution, "all_frames": all_frames or None}
    choices = {choice: value for choice, value in chosen.items() if value is not None}
    wrong = sorted(set(choices) - set(benchmark.choices))
    if wrong:
        raise UsageError(
            f"{benchmark.title} does not support {' or '.join(wrong)}", options=tuple(wrong)
        )
    if not root.is_dir():
        raise MissingFileError(
            f"the folder {root} does not exist; give the folder that contains {benchmark.title}",
            options=("root",),
        )
    if benchmark.splits:
        choices["split"] = split or benchmark.splits[0]
    return benchmark.open(root, purpose=purpose, **choices)


@dataclass(frozen=True, kw_only=True)
class DatasetChoice:
    """A choice of data set, split and videos; see ``open_dataset`` for the arguments."""

    name: str
    root: Path
    split: str | None = None
    resolution: str | None = None
    all_frames: bool = False
    videos: tuple[str, ...] = ()
    """Names of videos; empty for all."""
    videos_from: Path | None = None
    """File with further names of videos, one per line."""

    def open(self, purpose: Purpose) -> Dataset:
        """Open the data set.

        Raises:
            UsageError, MissingFileError, DatasetError: see ``open_dataset``; or the file with names
                of videos cannot be read, is empty or repeats a name.
        """
        dataset = open_dataset(
            self.name,
            self.root,
            split=self.split,
            purpose=purpose,
            resolution=self.resolution,
            all_frames=self.all_frames,
        )
        listed = () if self.videos_from is None else read_list(self.videos_from, "videos")
        names = tuple(dict.fromkeys((*self.videos, *listed)))
        return dataset.only(names) if names else dataset
