"""Read masks drawn in other programs: COCO JSON (``coco_json``) and labelme JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskcast.core.errors import DataError, MissingFileError, PromptError
from maskcast.core.strict_json import read_json
from maskcast.io.prompts.coco_json import IsFrame, read_coco
from maskcast.io.prompts.foreign_formats import name_foreign_json
from maskcast.io.prompts.labelme_json import read_labelme
from maskcast.io.prompts.marked_frame import MarkedFrame
from maskcast.io.rle import checked_size


def read_mask_json(
    path: Path, size: tuple[int, int] | None = None, is_frame: IsFrame | None = None
) -> list[MarkedFrame]:
    """Read the masks in a COCO or labelme file.

    COCO files are ``{"images": [...], "annotations": [...]}``, or a list of annotations with a
    field ``frame``.

    Args:
        path: the file.
        size: height and width of the frames; None uses the size in the file.
        is_frame: tells which names are frames of the video; None takes all.

    Raises:
        MissingFileError: the file does not exist.
        PromptError: the file has another format, or a mask in it is malformed or has another size.
    """
    try:
        content = read_json(path, non_finite=True)
    except MissingFileError:
        raise
    except DataError as error:
        raise PromptError(error.summary) from error
    try:
        if (problem := name_foreign_json(content)) is not None:
            raise PromptError(problem)
        if isinstance(content, dict) and isinstance(content.get("shapes"), list):
            return [read_labelme(path, content, size or _labelme_size(content))]
        return read_coco(path, content, size, is_frame)
    except PromptError as error:
        raise PromptError(f"{path}: {error.summary}") from error


def _labelme_size(content: dict[str, Any]) -> tuple[int, int]:
    sides = content.get("imageHeight"), content.get("imageWidth")
    if None in sides:
        raise PromptError("the size of the images is missing")
    return checked_size(sides)
