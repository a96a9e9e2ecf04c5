"""Read folders of training videos: one folder per video, with frames and some masks.

    <root>/<video>/frames/…    <root>/<video>/masks/…

Folder names and mask layouts are those of ``data.readers.folder``. Frames may lack masks; clips use
only frames with a mask. Several roots form one data set.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from maskcast.core.errors import MissingFileError
from maskcast.data.dataset import Dataset, Faults, Video
from maskcast.data.hold_outs import DAVIS_VALIDATION
from maskcast.data.listing import VideoFiles, list_folders, mask_layout
from maskcast.data.readers.folder import IMAGE_FOLDERS, MASK_FOLDERS


def read_clip_folder(*roots: Path, never: Collection[str] = DAVIS_VALIDATION) -> Dataset:
    """List the videos in some folders; folders without frames are skipped.

    Args:
        roots: folders with one folder per video, such as the unpacked archives of one data set.
        never: names of videos that must not be used for training, whatever data set they are from.

    Raises:
        MissingFileError: a folder does not exist.
        DatasetError: a video has no masks, a mask has no frame, a name occurs twice or is in
            ``never``, or there are no videos; the error lists all problems.
    """
    faults = Faults(f"the videos in {', '.join(map(str, roots))}")
    videos: dict[str, Video] = {}
    for root in roots:
        if not root.is_dir():
            raise MissingFileError(f"the folder {root} does not exist")
        for name in list_folders(root, faults):
            frames = _first_folder(root / name, IMAGE_FOLDERS)
            if frames is None:
                continue
            if name in never:
                faults.add(
                    f"{root / name} has the name of a validation video, which must not be used for "
                    "training; remove it, or rename it if it is another video"
                )
            elif name in videos:
                faults.add(f"{root / name} has the name of another video")
            else:
                video = _read_video(root / name, frames, faults)
                if video is not None:
                    videos[name] = video
    if not videos and not faults.problems:
        faults.add(f"no folder in them contains {' or '.join(IMAGE_FOLDERS)}")
    faults.raise_if_any()
    return Dataset("clips", "train", roots[0], tuple(videos.values()))


def _first_folder(folder: Path, names: Collection[str]) -> Path | None:
    return next((path for name in names if (path := folder / name).is_dir()), None)


def _read_video(folder: Path, frames: Path, faults: Faults) -> Video | None:
    masks = _first_folder(folder, MASK_FOLDERS)
    if masks is None:
        faults.add(f"{folder} has no folder of masks ({', '.join(MASK_FOLDERS)})")
        return None
    layout = mask_layout(masks, faults)
    if layout is None:
        return None
    files = VideoFiles(name=folder.name, images=frames, annotations=masks, layout=layout)
    return files.build("train", faults)
