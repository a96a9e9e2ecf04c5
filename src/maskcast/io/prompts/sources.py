"""Read files and folders that contain masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from maskcast.core.errors import MissingFileError, PromptError
from maskcast.core.numbers import whole_number
from maskcast.io.prompts import mask_pictures
from maskcast.io.prompts.marked_frame import Label, MarkedFrame
from maskcast.io.prompts.marks import MARKS
from maskcast.io.prompts.mask_json import read_mask_json
from maskcast.io.prompts.mask_pictures import read_mask_picture

ENDINGS = (*mask_pictures.ENDINGS, ".json")


def lone_files(masks: Sequence[Path]) -> frozenset[Path]:
    """Return the masks given as single files, whose names need not match a frame."""
    return frozenset(path for path in masks if path.is_file())


def read_source(
    path: Path, size: tuple[int, int] | None, mask_threshold: int | None
) -> list[MarkedFrame]:
    """Read a mask file, a folder of them, or a folder with one folder per object.

    Raises:
        MissingFileError: the path does not exist.
        PromptError: a mask is invalid, or a folder contains none.
    """
    if not path.is_dir():
        return _read_file(path, size, mask_threshold)
    files, folders = _mask_files(path), _folders(path)
    if files and folders:
        raise PromptError(
            f"{path} contains both masks and folders; give files that show all objects, or one "
            "folder per object",
            options=("masks",),
        )
    marked = [frame for file in files for frame in _read_file(file, size, mask_threshold)]
    marked += [
        _as_object(frame, folder.name)
        for folder in folders
        for file in _mask_files(folder)
        for frame in _read_file(file, size, mask_threshold)
    ]
    if not marked:
        holds = ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) or "nothing"
        raise PromptError(
            f"{path} contains no masks (png, COCO json or labelme json); it contains {holds}",
            options=("masks",),
        )
    return marked


def _mask_files(folder: Path) -> list[Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_file()
        and entry.name[0] != "."
        and entry.name != MARKS
        and entry.suffix.lower() in ENDINGS
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")


def _read_file(
    path: Path, size: tuple[int, int] | None, mask_threshold: int | None
) -> list[MarkedFrame]:
    if not path.exists():
        raise MissingFileError(f"mask {path} does not exist", options=("masks",))
    if path.suffix.lower() == ".json":
        return read_mask_json(path, size)
    return [read_mask_picture(path, mask_threshold)]


def _as_object(frame: MarkedFrame, folder: str) -> MarkedFrame:
    """Relabel the only mark with the object that its folder is named after."""
    if len(frame.marks) > 1:
        raise PromptError(
            f"{frame.source} has {len(frame.marks)} objects but is in the folder {folder}, which "
            "must contain the masks of one object"
        )
    number = whole_number(folder)
    label: Label = folder if number is None else number
    marked = MarkedFrame(frame.frame_key, frame.source, "a folder per object", {})
    marked.marks.update((label, mark) for mark in frame.marks.values())
    return marked
