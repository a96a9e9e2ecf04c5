"""Read MOSE v1 and v2 (Ding et al., ICCV 2023; 2025).

    <split>/JPEGImages/<video>/00000.jpg    <split>/Annotations/<video>/00000.png

The validation split has only the first mask of each video; its ground truth is on the server. The
measures of v2 are not implemented, so it can be segmented and submitted but not scored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from maskcast.data.dataset import Dataset, Faults
from maskcast.data.listing import Purpose, VideoFiles, list_folders


def open_mose(
    root: Path,
    *,
    version: Literal[1, 2] = 1,
    split: str = "valid",
    purpose: Purpose = "segment",
) -> Dataset:
    """Open one split.

    Args:
        root: folder with ``train`` and ``valid``, or one of these.
        version: version of the data set; both have the same layout.
        split: train or valid.
        purpose: determines which files are required.

    Raises:
        DatasetError: the data set is incomplete; the error lists all problems.
    """
    faults = Faults(f"MOSE v{version} {split} in {root}")
    if version == 2 and purpose == "score":
        faults.add(
            "its measures are not implemented; segment it and submit the masks to its server"
        )
    base = root / split if (root / split).is_dir() else root
    videos = []
    for name in list_folders(base / "Annotations", faults):
        files = VideoFiles(
            name=name,
            images=base / "JPEGImages" / name,
            annotations=base / "Annotations" / name,
            fully_annotated=True,
        )
        video = files.build(purpose, faults)
        if video is not None:
            videos.append(video)
    if not videos and not faults.problems:
        faults.add(f"{base / 'Annotations'} contains no videos")
    faults.raise_if_any()
    return Dataset("mose" if version == 1 else "mose-v2", split, root, tuple(videos))
