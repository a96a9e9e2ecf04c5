"""Read SA-V (Ravi et al., 2024): one folder of masks per object; masks may overlap.

    sav_<split>/JPEGImages_24fps/<video>/00000.jpg
    sav_<split>/Annotations_6fps/<video>/<object>/00000.png    sav_<split>.txt

The folders of objects are numbered from 000; the n-th folder becomes object n, from 1.
"""

from __future__ import annotations

from pathlib import Path

from maskcast.data.dataset import Dataset, Faults
from maskcast.data.listing import (
    Purpose,
    VideoFiles,
    folder_of,
    list_folders,
    names_of_folders,
    read_names,
)


def open_sa_v(root: Path, *, split: str = "val", purpose: Purpose = "segment") -> Dataset:
    """Open one split.

    Args:
        root: folder with ``sav_val`` and ``sav_test``, or one of these.
        split: val or test.
        purpose: determines which files are required.

    Raises:
        DatasetError: the data set is incomplete; the error lists all problems.
    """
    faults = Faults(f"SA-V {split} in {root}")
    base = next((path for name in (f"sav_{split}", split) if (path := root / name).is_dir()), root)
    images = folder_of(base, "JPEGImages_24fps", "JPEGImages")
    annotations = folder_of(base, "Annotations_6fps", "Annotations")
    name_list = base / f"sav_{split}.txt"
    if name_list.is_file():
        names = names_of_folders(read_names(name_list, faults), name_list, faults)
    else:
        names = list_folders(annotations, faults)
    videos = []
    for name in names:
        files = VideoFiles(
            name=name,
            images=images / name,
            annotations=annotations / name,
            layout="object_folders",
            has_void=False,
        )
        video = files.build(purpose, faults)
        if video is not None:
            videos.append(video)
    if not videos and not faults.problems:
        faults.add(f"{annotations} contains no videos")
    faults.raise_if_any()
    return Dataset("sa-v", split, root, tuple(videos))
