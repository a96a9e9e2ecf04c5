"""Read a plain folder of the user's own videos.

    <root>/<video>/frames/…    <root>/<video>/masks/…      (or images, JPEGImages; annotations, gt)
    <root>/<video>/…           <root>/<video>/masks/…      frames next to the folder of masks
    <root>/JPEGImages/<video>  <root>/Annotations/<video>
    <root>/<video>/…           masks alone, for scoring

Masks are label maps (255 is void), masks of one object (0 and 255), or one folder of masks per
object.
"""

from __future__ import annotations

from pathlib import Path

from maskcast.data.dataset import Dataset, Faults
from maskcast.data.listing import (
    MASK_ENDINGS,
    Purpose,
    VideoFiles,
    list_folders,
    list_pictures,
    mask_layout,
)

IMAGE_FOLDERS = ("frames", "images", "JPEGImages", "imgs", "rgb")
MASK_FOLDERS = ("masks", "annotations", "Annotations", "gt", "labels")


def open_folder(root: Path, *, purpose: Purpose = "segment") -> Dataset:
    """Open all videos in a folder.

    Raises:
        DatasetError: videos are missing or incomplete; the error lists all problems.
    """
    faults = Faults(f"the folder {root}")
    videos = []
    for name, images, masks in _video_folders(root, faults, purpose):
        layout = mask_layout(masks, faults)
        if layout is None:
            continue
        files = VideoFiles(name=name, images=images, annotations=masks, layout=layout)
        video = files.build(purpose, faults)
        if video is not None:
            videos.append(video)
    if not videos and not faults.problems:
        faults.add(f"no videos found; expected VIDEO/{IMAGE_FOLDERS[0]} and VIDEO/masks")
    faults.raise_if_any()
    return Dataset("folder", "all", root, tuple(videos))


def _video_folders(root: Path, faults: Faults, purpose: Purpose) -> list[tuple[str, Path, Path]]:
    """Return the name, the folder of frames and the folder of masks of each video.

    For scoring, a folder of masks alone is a video too; its folder of frames does not exist.
    """
    if (root / "Annotations").is_dir():
        names = list_folders(root / "Annotations", faults)
        return [(name, root / "JPEGImages" / name, root / "Annotations" / name) for name in names]
    videos = []
    for name in list_folders(root, faults):
        folder = root / name
        masks = next((path for inner in MASK_FOLDERS if (path := folder / inner).is_dir()), None)
        if masks is None and purpose == "score" and _holds_masks(folder):
            videos.append((name, folder / IMAGE_FOLDERS[0], folder))
            continue
        if masks is None:
            faults.add(f"{folder} has no folder of masks ({', '.join(MASK_FOLDERS)})")
            continue
        inner_folders = (folder / inner for inner in IMAGE_FOLDERS)
        frames = next((path for path in inner_folders if path.is_dir()), folder)
        videos.append((name, frames, masks))
    return videos


def _holds_masks(folder: Path) -> bool:
    quiet = Faults("")
    return bool(list_pictures(folder, MASK_ENDINGS, quiet)) and not quiet.problems
