"""Hold videos out of training for validation: drawn from a seed, or read from a list file.

A draw sorts the names by a hash of seed and name. So it is the same on every machine and with every
library version, and hardly changes when a data set gains or loses a video.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from maskcast.core.errors import ConfigError, DatasetError, OutputError
from maskcast.data.dataset import Dataset, Faults, listed
from maskcast.data.hold_out_names import BALANCED_HOLD_OUTS, YOUTUBE_VOS_HOLD_OUT
from maskcast.data.listing import read_names

DAVIS_VALIDATION = (
    *("bike-packing", "blackswan", "bmx-trees", "breakdance", "camel", "car-roundabout"),
    *("car-shadow", "cows", "dance-twirl", "dog", "dogs-jump", "drift-chicane", "drift-straight"),
    *("goat", "gold-fish", "horsejump-high", "india", "judo", "kite-surf", "lab-coat", "libby"),
    *("loading", "mbike-trick", "motocross-jump", "paragliding-launch", "parkour", "pigs"),
    *("scooter-black", "shooting", "soapbox"),
)
"""Validation videos of DAVIS 2017, which include those of 2016. ``open_davis`` (for training) and
``read_clip_folder`` reject videos with these names."""


def draw_hold_out(
    names: Collection[str], *, count: int = YOUTUBE_VOS_HOLD_OUT, seed: int = 0
) -> tuple[str, ...]:
    """Draw names without replacement, and return them in alphabetical order.

    Raises:
        ConfigError: ``count`` is negative, or not less than the number of names.
    """
    if not 0 <= count < len(names):
        raise ConfigError(
            f"the number of held-out videos must be in [0, {len(names) - 1}], got {count}"
        )
    return tuple(sorted(sorted(names, key=lambda name: _rank(seed, name))[:count]))


def draw_balanced_hold_outs(
    categories: Mapping[str, Collection[str]],
    *,
    counts: Sequence[int] = BALANCED_HOLD_OUTS,
    seed: int = 123,
) -> tuple[tuple[str, ...], ...]:
    """Draw disjoint hold-outs in which all categories are as frequent as possible.

    Each video is drawn from the category that is least frequent in the hold-out so far.

    Args:
        categories: categories of each video's objects, by video name.
        counts: number of videos in each hold-out.
        seed: seed of the draw.

    Raises:
        ConfigError: there are too few videos.
    """
    if min(counts) < 0 or sum(counts) >= len(categories):
        raise ConfigError(f"cannot hold out {sum(counts)} of {len(categories)} videos")
    left = sorted(categories, key=lambda name: _rank(seed, name))
    hold_outs = []
    for count in counts:
        seen: Counter[str] = Counter({one: 0 for of in categories.values() for one in of})
        drawn: list[str] = []
        for _ in range(count):
            name = min(
                left, key=lambda name: min((seen[one] for one in categories[name]), default=count)
            )
            left.remove(name)
            drawn.append(name)
            seen.update(set(categories[name]))
        hold_outs.append(tuple(sorted(drawn)))
    return tuple(hold_outs)


def read_hold_out(path: Path) -> tuple[str, ...]:
    """Read a list file with one name per line.

    Raises:
        DatasetError: the file cannot be read, is empty, or repeats a name.
    """
    faults = Faults("the hold-out")
    names = read_names(path, faults)
    faults.raise_if_any()
    return tuple(names)


def without(dataset: Dataset, held_out: Collection[str]) -> tuple[Dataset, Dataset]:
    """Split a data set into the videos for training and the held-out videos.

    Raises:
        DatasetError: a held-out name is not in the data set, or no video is left for training.
    """
    names = [video.name for video in dataset]
    unknown = sorted(set(held_out) - set(names))
    if unknown:
        raise DatasetError(
            f"{dataset.name} {dataset.split} has no video {listed(unknown)}, which the hold-out "
            "list names; check that the list belongs to this data set"
        )
    kept = [name for name in names if name not in held_out]
    if not kept:
        raise DatasetError(f"all videos of {dataset.name} {dataset.split} are held out")
    return dataset.only(kept), dataset.only([name for name in names if name in held_out])


def find_clips(root: Path, names: Collection[str]) -> dict[str, Path]:
    """Find the folder of each clip, at most three levels below ``root``.

    Args:
        root: folder with the unpacked training archives.
        names: names of the clips, each a folder with ``frames`` and ``masks``.

    Raises:
        DatasetError: clips are missing or exist several times; the error lists all of them.
    """
    faults = Faults(f"the hold-out in {root}")
    clips = {}
    for name in names:
        folders = sorted(
            folder
            for depth in ("", "*/", "*/*/")
            for folder in root.glob(depth + name)
            if (folder / "frames").is_dir() and (folder / "masks").is_dir()
        )
        if len(folders) == 1:
            clips[name] = folders[0]
        elif folders:
            faults.add(f"clip {name} exists {len(folders)} times: {', '.join(map(str, folders))}")
        else:
            faults.add(f"clip {name} is missing")
    faults.raise_if_any()
    return clips


def link_clips(clips: Mapping[str, Path], folder: Path) -> None:
    """Create a data set in ``folder`` with links to clips, for ``maskcast.data.readers.folder``.

    Each clip becomes a symbolic link, which replaces an existing link.

    Raises:
        OutputError: ``folder`` has another file with the name of a clip, or is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, clip in clips.items():
            link = folder / name
            if link.is_symlink():
                link.unlink()
            link.symlink_to(clip.resolve(), target_is_directory=True)
    except OSError as error:
        raise OutputError(f"cannot link the clips into {folder}: {error}") from error


def _rank(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
