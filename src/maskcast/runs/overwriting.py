"""Overwriting a run: delete what a run of this video creates, and nothing else."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from maskcast.core.errors import OutputError, RunConflictError
from maskcast.core.numbers import counted
from maskcast.io.packed_masks import PACKED_NAMES
from maskcast.runs.export_record import remove_exports
from maskcast.runs.frame_log import FrameLog
from maskcast.runs.layout import CARD, EXPORTS, FRAME_LOG, PROBABILITIES, STATES
from maskcast.runs.removal import remove_file, remove_folder

logger = logging.getLogger(__name__)


def remove_run(path: Path, names: Iterable[str]) -> None:
    """Delete the results of a run in a folder, with or without a run card.

    These are the run card, the frame log, the label maps named in the log or like the frames of
    this video, files of packed masks, saved states, soft masks and exports.

    Args:
        path: path of the folder, which need not exist.
        names: names of the frames of the video.

    Raises:
        RunConflictError: the folder holds other PNG files that are named like frames; nothing is
            deleted.
        OutputError: a file cannot be deleted.
    """
    names = list(names)
    masks = {entry.mask for entry in FrameLog(path / FRAME_LOG).entries()}
    masks |= {f"{name}.png" for name in names}
    pictures = _pictures(path)
    others = sorted(set(pictures) - masks)
    if strays := [name for name in others if _is_like_a_frame(name, names)]:
        raise RunConflictError(
            f"{path} contains PNG files that are named like frames but are not masks of this "
            "video; they are never overwritten; move them, or choose another folder",
            details=strays,
            options=("output",),
        )
    made = [name for name in (STATES, PROBABILITIES, EXPORTS) if (path / name).exists()]
    remove_folder(path / STATES)
    remove_file(path / CARD)  # without it, remaining files are ignored if this is interrupted
    for name in PACKED_NAMES:
        remove_file(path / name)
    for name in pictures:
        if name in masks:
            remove_file(path / name)
    remove_folder(path / PROBABILITIES)
    remove_exports(path)
    remove_file(path / FRAME_LOG)
    removed = len(masks & set(pictures))
    if removed or made:
        logger.warning(
            "%s: deleted %s of an earlier run", path, ", ".join([counted(removed, "mask"), *made])
        )


def _pictures(path: Path) -> list[str]:
    try:
        return sorted(
            file.name
            for file in path.iterdir()
            if file.suffix == ".png" and not file.name.startswith(".") and not file.is_dir()
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"cannot use the output folder {path}: {error.strerror}") from error


def _is_like_a_frame(file_name: str, names: list[str]) -> bool:
    """Return whether a name is a number, or differs from a frame's name only in its digits."""
    pattern = r"\d+"
    if names:
        pattern += "|" + re.sub(r"\d+", r"\\d+", re.escape(names[0]))
    return re.fullmatch(pattern, Path(file_name).stem) is not None
