"""Read files and folders that contain masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from maskcast.core.errors import MissingFileError, PromptError, UsageError
from maskcast.core.numbers import whole_number
from maskcast.io.prompts import mask_arrays, mask_pictures
from maskcast.io.prompts.coco_json import IsFrame
from maskcast.io.prompts.foreign_formats import reject_xml
from maskcast.io.prompts.marked_frame import Label, MarkedFrame
from maskcast.io.prompts.marks import MARKS
from maskcast.io.prompts.mask_arrays import read_mask_array
from maskcast.io.prompts.mask_json import read_mask_json
from maskcast.io.prompts.mask_pictures import read_mask_picture

ENDINGS = (*mask_pictures.ENDINGS, mask_arrays.ENDING, ".json")
FORMATS = "png, tif, bmp, gif, webp, npy, COCO json or labelme json"
"""Formats of masks, for messages."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Settings for reading masks."""

    size: tuple[int, int] | None = None
    """Height and width of the frames in pixels, for masks in JSON; None if they are unknown."""
    is_frame: IsFrame | None = None
    """Tells which names are frames of the video, for files with further images; None takes all."""
    mask_threshold: int | None = None
    """Lowest grey value (1..255) that belongs to the object, for masks with soft edges."""
    is_whole: bool = False
    """Whether the masks are corrected ones: painted copies of label maps of this package, which
    show the whole frame."""

    @property
    def option(self) -> str:
        """Name of the parameter that the masks were given with."""
        return "corrected" if self.is_whole else "masks"


def lone_files(masks: Sequence[Path]) -> frozenset[Path]:
    """Return the masks given as single files, whose names need not match a frame."""
    return frozenset(path for path in masks if path.is_file())


def require_prompts(*prompts: Sequence[object]) -> None:
    """Raise ``UsageError`` if there are neither masks nor boxes."""
    if not any(prompts):
        raise UsageError("no objects to track; give a mask or a box", options=("masks", "box"))


def require_masks(path: Path, option: str) -> None:
    """Raise ``MissingFileError`` about an option if its file or folder does not exist."""
    if not path.exists():
        raise MissingFileError(f"mask {path} does not exist", options=(option,))


def read_source(path: Path, reading: Reading) -> list[MarkedFrame]:
    """Read a mask file, a folder of them, or a folder with one folder per object.

    Raises:
        MissingFileError: the path does not exist.
        PromptError: a mask is invalid, or a folder contains none.
    """
    if not path.is_dir():
        return _read_file(path, reading)
    files, folders = _mask_files(path), _folders(path)
    if files and folders:
        raise PromptError(
            f"{path} contains both masks and folders; give files that show all objects, or one "
            "folder per object",
            options=(reading.option,),
        )
    marked = [frame for file in files for frame in _read_file(file, reading)]
    marked += [
        _as_object(frame, folder.name)
        for folder in folders
        for file in _mask_files(folder)
        for frame in _read_file(file, reading)
    ]
    if not marked:
        holds = ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) or "nothing"
        raise PromptError(
            f"{path} contains no masks ({FORMATS}); it contains {holds}",
            options=(reading.option,),
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


def _read_file(path: Path, reading: Reading) -> list[MarkedFrame]:
    require_masks(path, reading.option)
    if path.suffix.lower() == ".xml":
        reject_xml(path)
    if path.suffix.lower() == ".json":
        marked = read_mask_json(path, reading.size, reading.is_frame)
    elif path.suffix.lower() == mask_arrays.ENDING:
        marked = [read_mask_array(path)]
    else:
        marked = [read_mask_picture(path, reading.mask_threshold, is_copy=reading.is_whole)]
    return [replace(frame, is_whole=reading.is_whole) for frame in marked]


def _as_object(frame: MarkedFrame, folder: str) -> MarkedFrame:
    """Relabel the only mark with the object that its folder is named after."""
    if len(frame.marks) > 1:
        raise PromptError(
            f"{frame.source} has {len(frame.marks)} objects but is in the folder {folder}, which "
            "must contain the masks of one object"
        )
    number = whole_number(folder)
    label: Label = folder if number is None else number
    marks = {label: next(iter(frame.marks.values()))} if frame.marks else {}
    return replace(frame, kind="a folder per object", marks=marks, notes=[])
