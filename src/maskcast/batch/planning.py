"""Write a manifest of the videos in a folder that have masks beside them. Imports no torch."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from maskcast.core.errors import DataError, MissingFileError
from maskcast.core.files import write_text
from maskcast.io.prompts.sources import ENDINGS as MASK_ENDINGS
from maskcast.io.video.frame_folder import is_frame_file
from maskcast.runs.layout import CARD

VIDEO_ENDINGS = (
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".ogv", ".gif"),
)
"""File name extensions of videos that a plan includes."""
MASK_SUFFIXES = ("", "_mask", "_masks")
"""What may follow the name of a video in the name of its masks."""
FEWEST_FRAMES = 2
"""Number of pictures that make a folder a video."""


@dataclass(frozen=True)
class PlannedVideo:
    """A video of a folder, and the masks beside it."""

    video: Path
    masks: Path | None


def write_plan(folder: Path, manifest: Path) -> tuple[int, list[Path]]:
    """Write a manifest of the videos in a folder and the folders in it.

    The masks of ``clip.mp4`` are a file or a folder ``clip``, ``clip_mask`` or ``clip_masks``
    beside it, or the same in a folder ``masks``. A folder with at least two pictures is a video
    too.

    Args:
        folder: the folder to search; hidden folders and results of runs are left out.
        manifest: the file to write, as JSON lines; paths are relative to its folder.

    Returns:
        the number of videos in the manifest, and the videos that have no masks.

    Raises:
        MissingFileError: the folder does not exist.
        DataError: it is a file or cannot be opened, no video in it has masks, or the manifest is
            not a ``.jsonl`` file.
        OutputError: the manifest cannot be written.
    """
    _check_folder(folder)
    if manifest.suffix.lower() != ".jsonl":
        raise DataError(f"manifests must be .jsonl files, got {manifest.name}", options=("output",))
    videos = sorted(_videos_in(folder), key=lambda planned: planned.video)
    ready = [planned for planned in videos if planned.masks is not None]
    if not ready:
        raise DataError(
            f"no video in {folder} has masks beside it ({len(videos)} without); the masks of "
            "clip.mp4 are named clip.png, clip_mask.png or clip_masks",
            options=("folder",),
        )
    base = manifest.absolute().parent
    rows = (_row(planned, folder, base) for planned in ready)
    write_text(manifest, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return len(ready), [planned.video for planned in videos if planned.masks is None]


def _check_folder(folder: Path) -> None:
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError as error:
        raise MissingFileError(
            f"the folder {folder} does not exist", options=("folder",)
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot open the folder {folder}: {error.strerror}", options=("folder",)
        ) from error
    if not stat.S_ISDIR(mode):
        raise DataError(f"{folder} is a file; give a folder of videos", options=("folder",))


def _row(planned: PlannedVideo, folder: Path, base: Path) -> dict[str, str]:
    inner = planned.video.relative_to(folder)
    name = inner if planned.video.is_dir() else inner.with_suffix("")
    return {
        "id": name.as_posix(),
        "video": _relative(planned.video, base),
        "masks": _relative(planned.masks or Path(), base),
    }


def _relative(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path.absolute(), base)).as_posix()


def _videos_in(folder: Path, above: frozenset[str] = frozenset()) -> Iterator[PlannedVideo]:
    """Yield the videos of a folder; links to one of the folders ``above`` lead nowhere."""
    above |= {os.path.realpath(folder)}
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    files = [e for e in entries if e.is_file() and e.suffix.lower() in VIDEO_ENDINGS]
    folders = [e for e in entries if e.is_dir() and not (e / CARD).exists()]
    masks = {video: _masks_of(video.with_suffix("")) for video in files}
    yield from (PlannedVideo(video, masks[video]) for video in files)
    for inner in folders:
        if inner in masks.values() or _is_for_masks(inner, entries):
            continue
        if os.path.realpath(inner) in above:
            continue
        if _is_video(inner):
            yield PlannedVideo(inner, _masks_of(inner, is_folder=True))
        else:
            yield from _videos_in(inner, above)


def _is_video(folder: Path) -> bool:
    """Return whether a folder holds frames, rather than videos and their masks."""
    files = [entry for entry in folder.iterdir() if entry.is_file()]
    has_videos = any(file.suffix.lower() in VIDEO_ENDINGS for file in files)
    return not has_videos and sum(map(is_frame_file, files)) >= FEWEST_FRAMES


def _is_for_masks(folder: Path, entries: list[Path]) -> bool:
    """Return whether a folder is named as the masks of a video beside it."""
    stems = {entry.with_suffix("").name for entry in entries if entry != folder}
    stem = folder.name.removesuffix("_masks").removesuffix("_mask")
    return folder.name == "masks" or (stem != folder.name and stem in stems)


def _masks_of(stem: Path, *, is_folder: bool = False) -> Path | None:
    """Return the masks of a video; ``stem`` is its path without extension. None without masks."""
    for parent in (stem.parent, stem.parent / "masks"):
        for suffix in MASK_SUFFIXES:
            named = parent / f"{stem.name}{suffix}"
            if named.is_dir() and not (is_folder and named == stem):
                return named
            for ending in MASK_ENDINGS:
                if (file := named.with_name(named.name + ending)).is_file():
                    return file
    return None
