"""A plain folder of videos, as people have them at home.

    <root>/<video>/frames/…    <root>/<video>/masks/…      (or images, JPEGImages; annotations, gt)
    <root>/<video>/…           <root>/<video>/masks/…      frames beside the folder of masks
    <root>/JPEGImages/<video>  <root>/Annotations/<video>

Masks are label maps (255 is void), masks of one object (0 and 255), or one folder of masks for each
object.
"""

from __future__ import annotations

from pathlib import Path

from maskcast.data.dataset import Dataset, Faults
from maskcast.data.listing import (
    Purpose,
    VideoFiles,
    list_folders,
    mask_layout,
)

IMAGE_FOLDERS = ("frames", "images", "JPEGImages", "imgs", "rgb")
MASK_FOLDERS = ("masks", "annotations", "Annotations", "gt", "labels")


def open_folder(root: Path, *, purpose: Purpose = "segment") -> Dataset:
    """Open all videos in a folder.

    Raises:
        DatasetError: all that is wrong, in one message.
    """
    faults = Faults(f"the folder {root}")
    videos = []
    for name, images, masks in _places(root, faults):
        layout = mask_layout(masks, faults)
        if layout is None:
            continue
        files = VideoFiles(name=name, images=images, annotations=masks, layout=layout)
        video = files.build(purpose, faults)
        if video is not None:
            videos.append(video)
    if not videos and not faults.found:
        faults.add(f"no videos found; expected VIDEO/{IMAGE_FOLDERS[0]} and VIDEO/masks")
    faults.raise_if_any()
    return Dataset("folder", "all", root, tuple(videos))


def _places(root: Path, faults: Faults) -> list[tuple[str, Path, Path]]:
    """Return name, folder of frames and folder of masks of each video."""
    if (root / "Annotations").is_dir():
        names = list_folders(root / "Annotations", faults)
        return [(name, root / "JPEGImages" / name, root / "Annotations" / name) for name in names]
    found = []
    for name in list_folders(root, faults):
        folder = root / name
        masks = next((path for each in MASK_FOLDERS if (path := folder / each).is_dir()), None)
        if masks is None:
            faults.add(f"{folder} has no folder of masks ({', '.join(MASK_FOLDERS)})")
            continue
        frames = next((path for each in IMAGE_FOLDERS if (path := folder / each).is_dir()), folder)
        found.append((name, frames, masks))
    return found
