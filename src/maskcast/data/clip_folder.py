"""Folders of videos to train on: one folder per video, with frames and some masks.

``<root>/<video>/frames/*`` (or ``images``) and ``<root>/<video>/masks/*.png``, masks named like
their frames. A frame may have no mask; clips are made of those that have one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcast.core.errors import DatasetError
from maskcast.data.dataset import AnnotationFile, Dataset, Faults, Video
from maskcast.data.image_pairs import picture_size, pictures_in

FRAME_FOLDERS = ("frames", "images", "JPEGImages")
MASK_FOLDERS = ("masks", "Annotations")


def read_clip_folder(*roots: Path, has_void: bool = True, never: Sequence[str] = ()) -> Dataset:
    """List the videos below some folders.

    Args:
        roots: each holds one folder per video; several archives of one set may be given together.
        has_void: whether 255 in a mask is void rather than an object.
        never: names of videos that must not be trained on, such as those of a validation set.

    Raises:
        MissingFileError: a folder is not there.
        DatasetError: with every fault found: a video without masks, a mask without a frame, a name
            twice or one of ``never``, nothing at all.
    """
    faults = Faults(f"the videos in {', '.join(map(str, roots))}")
    videos: dict[str, Video] = {}
    for root in roots:
        for folder in sorted(path for path in root.glob("*") if _holds_frames(path)):
            if folder.name in videos:
                faults.add(f"{folder} has the name of another video")
            elif folder.name in never:
                faults.add(
                    f"{folder} must not be trained on: it is on the list of held-back videos"
                )
            else:
                video = _read_video(folder, has_void, faults)
                if video is not None:
                    videos[folder.name] = video
    if not videos:
        faults.add(f"no folder holds {' or '.join(FRAME_FOLDERS)}")
    faults.raise_if_any()
    return Dataset("clips", "train", roots[0], tuple(videos.values()))


def _holds_frames(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in FRAME_FOLDERS)


def _read_video(folder: Path, has_void: bool, faults: Faults) -> Video | None:
    frames_folder = next(folder / name for name in FRAME_FOLDERS if (folder / name).is_dir())
    masks_folder = next((folder / name for name in MASK_FOLDERS if (folder / name).is_dir()), None)
    if masks_folder is None:
        faults.add(f"{folder} has no folder {' or '.join(MASK_FOLDERS)}")
        return None
    try:
        frames, masks = pictures_in(frames_folder), pictures_in(masks_folder)
        size = picture_size(next(iter(frames.values()))) if frames else (0, 0)
    except (DatasetError, OSError) as error:
        faults.add(f"{folder}: {error}")
        return None
    for name in sorted(masks.keys() - frames.keys()):
        faults.add(f"{masks[name]} has no frame of its name")
    if not frames.keys() & masks.keys():
        faults.add(f"{folder} has no frame with a mask")
        return None
    names = tuple(frames)
    return Video(
        folder.name,
        names,
        size,
        dict(enumerate(frames.values())),
        {
            index: (AnnotationFile(masks[name]),)
            for index, name in enumerate(names)
            if name in masks
        },
        has_void,
    )
