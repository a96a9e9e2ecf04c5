"""Read DAVIS 2016 and 2017 (Perazzi et al., CVPR 2016; Pont-Tuset et al., 2017).

    JPEGImages/<resolution>/<video>/00000.jpg    Annotations/<resolution>/<video>/00000.png
    ImageSets/2017/<split>.txt                   names of videos
    ImageSets/2016/<split>.txt                   names; or ImageSets/480p/<split>.txt, paths

DAVIS 2016 has one object per video, marked by any non-zero value (255 or ids). DAVIS 2017 has ids
from 1.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Literal

from maskcast.data.dataset import Dataset, Faults
from maskcast.data.hold_outs import DAVIS_VALIDATION
from maskcast.data.listing import Purpose, VideoFiles, names_of_folders, read_names

RESOLUTIONS = ("480p", "Full-Resolution", "1080p")
HIDDEN_SPLITS = ("test-dev", "test-challenge")
"""Splits whose ground truth is not public, except for the first masks."""


def open_davis(
    root: Path,
    *,
    year: Literal[2016, 2017],
    split: str = "val",
    resolution: str | None = None,
    purpose: Purpose = "segment",
) -> Dataset:
    """Open one split.

    Args:
        root: folder with ``ImageSets``.
        year: 2016 (one object per video) or 2017 (several).
        split: train, val, or for 2017 test-dev and test-challenge.
        resolution: a folder name; default: 480p, or the one that exists.
        purpose: determines which files are required.

    Raises:
        DatasetError: the data set is incomplete; the error lists all problems.
    """
    faults = Faults(f"DAVIS {year} {split} in {root}")
    names = _video_names(root, year, split, faults)
    if purpose == "train":
        for name in (name for name in names if name in DAVIS_VALIDATION):
            faults.add(
                f"{name} is a video of the validation split, which must not be used for training"
            )
    resolution = resolution or _resolution_of(root)
    images, annotations = (root / kind / resolution for kind in ("JPEGImages", "Annotations"))
    videos = []
    for name in names:
        files = VideoFiles(
            name=name,
            images=images / name,
            annotations=annotations / name,
            layout="one_object" if year == 2016 else "label_maps",
            has_void=year != 2016,
            fully_annotated=split not in HIDDEN_SPLITS,
        )
        video = files.build(purpose, faults)
        if video is not None:
            videos.append(video)
    faults.raise_if_any()
    return Dataset(f"davis{year}", split, root, tuple(videos), {"resolution": resolution})


def _video_names(root: Path, year: int, split: str, faults: Faults) -> list[str]:
    lists = [root / "ImageSets" / str(year) / f"{split}.txt"]
    if year == 2016:
        lists += [root / "ImageSets" / folder / f"{split}.txt" for folder in ("480p", "1080p")]
    for path in lists:
        if path.is_file():
            names = dict.fromkeys(map(_video_of, read_names(path, faults)))
            return names_of_folders(names, path, faults)
    expected = " or ".join(str(path) for path in lists[:2])
    faults.add(f"the list {expected} does not exist; give the folder that contains ImageSets")
    return []


def _video_of(line: str) -> str:
    """Return the video of a line: its name, or ``/JPEGImages/480p/<video>/00000.jpg …``."""
    first = line.split(maxsplit=1)[0]
    return PurePosixPath(first).parent.name if "/" in first else first


def _resolution_of(root: Path) -> str:
    existing = [name for name in RESOLUTIONS if (root / "Annotations" / name).is_dir()]
    return existing[0] if existing else RESOLUTIONS[0]
