"""Bring the videos and masks of a job to the disk of a worker. Imports no torch.

Files in object stores are copied. So is a mask ``0412.png`` of a video ``0412.mp4``: under its own
name it would be the mask of frame 412.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from maskcast.batch.addresses import Url
from maskcast.batch.job import VideoJob
from maskcast.batch.store import fetch
from maskcast.core.files import replacing


def is_remote(job: VideoJob) -> bool:
    """Return whether some files of a job are in an object store."""
    return any(isinstance(file, Url) for file in (job.video, *job.masks))


def with_local_files(job: VideoJob, folder: Path, *, largest: float) -> VideoJob:
    """Copy the files of a job where necessary, and return a job that uses the copies.

    Args:
        job: the video.
        folder: the folder of the copies. Copies already there are used.
        largest: maximum size in bytes of the video, and of each entry of masks.

    Raises:
        MissingFileError: a file does not exist.
        DataError: a file is too large.
        TransientError: a store fails.
        OutputError: a copy cannot be written.
    """
    video, masks = job.video, list(job.masks)
    if isinstance(video, Url):
        video = fetch(video, folder / "video", largest=largest)
    for number, mask in enumerate(masks):
        inner = folder / f"masks-{number}"
        local = fetch(mask, inner, largest=largest) if isinstance(mask, Url) else mask
        if _is_namesake(local, video):
            local = _renamed(local, inner)
        masks[number] = local
    return replace(job, video=video, masks=tuple(masks))


def _is_namesake(mask: Path, video: Path) -> bool:
    """Return whether a mask file has the name of its video, and a frame may have the same name."""
    stem = video.name if video.is_dir() else video.stem
    has_number = any(map(str.isdecimal, stem))
    return has_number and mask.stem == stem and mask.suffix.lower() != ".json" and mask.is_file()


def _renamed(mask: Path, folder: Path) -> Path:
    """Copy a mask under a name that no frame has, so that it belongs to the first frame."""
    copy = folder / f"first{mask.suffix.lower()}"
    with replacing(copy) as temporary:
        shutil.copyfile(mask, temporary)
    return copy


def local_paths(job: VideoJob) -> tuple[Path, tuple[Path, ...]]:
    """Return the video and the masks of a job whose files are all on the disk."""
    masks = tuple(mask for mask in job.masks if isinstance(mask, Path))
    assert isinstance(job.video, Path)
    assert len(masks) == len(job.masks)
    return job.video, masks
