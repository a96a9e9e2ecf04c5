"""Open the videos and masks of a manifest, and list everything that is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from maskcast.batch.inputs import local_paths, with_local_files
from maskcast.batch.job import VideoJob
from maskcast.batch.manifest import MOST_FAULTS, Manifest
from maskcast.core.errors import DataError, MaskcastError
from maskcast.core.progress import Progress
from maskcast.io.prompts.reading import read_prompts
from maskcast.io.video.source import open_frames


def check_files(manifest: Manifest, *, progress: Progress | None = None) -> int:
    """Open every video and read its masks and boxes; return the number of frames.

    Args:
        manifest: the rows.
        progress: called after every row.

    Raises:
        DataError: files cannot be used; all problems are listed, 100 at most.
    """
    problems: list[str] = []
    frames = 0
    for number, job in enumerate(manifest.jobs(), 1):
        try:
            with TemporaryDirectory() as folder:
                frames += _check(with_local_files(job, Path(folder), largest=math.inf))
        except MaskcastError as error:
            problems += (f"{job.id}: {line}" for line in _lines(error))
        if progress is not None:
            progress("videos", number, len(manifest))
    if problems:
        others = len(problems) - MOST_FAULTS
        shown = problems[:MOST_FAULTS] + ([f"{others} more"] if others > 0 else [])
        raise DataError.listing(f"manifest {manifest.path} has errors", shown)
    return frames


def _check(job: VideoJob) -> int:
    settings = job.settings
    video, masks = local_paths(job)
    frames = open_frames(
        video,
        start=settings.start,
        end=settings.end,
        on_bad_frame=settings.on_bad_frame,
        exclude=[mask for mask in masks if mask.parent == video],
    )
    read_prompts(
        masks,
        job.boxes,
        names=frames.names,
        size=frames.size,
        first=frames.first,
        mask_threshold=settings.mask_threshold,
        goes_backward=settings.direction == "both",
    )
    return frames.count


def _lines(error: MaskcastError) -> Iterator[str]:
    yield error.summary
    yield from error.details
