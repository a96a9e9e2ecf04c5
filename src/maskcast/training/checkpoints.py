"""Write checkpoints atomically, keep the latest and the best, and read them safely."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from maskcast.core.errors import TrainingError
from maskcast.core.files import link_or_copy, replacing

FORMAT = 1
BEST = "best.pt"
_NAME = re.compile(r"step-(\d{9})\.pt")

logger = logging.getLogger(__name__)


class CheckpointFolder:
    """The checkpoints of one run, named by the number of finished steps."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def paths(self) -> list[Path]:
        """Return the numbered checkpoints, oldest first."""
        named = (path for path in self._folder.glob("step-*.pt") if _NAME.fullmatch(path.name))
        return sorted(path for path in named if path.is_file())  # neither folders nor pipes

    @property
    def best(self) -> Path:
        """Path of the best checkpoint, which may not exist."""
        return self._folder / BEST

    def save(self, state: Mapping[str, Any], *, step: int, best: bool, keep_last: int) -> Path:
        """Write a checkpoint, then remove old ones.

        Checkpoints of later steps are removed too: they were damaged, so the run resumed from an
        earlier one.

        Args:
            state: tensors and plain values.
            step: number of finished steps.
            best: whether to keep it as the best checkpoint as well.
            keep_last: number of latest checkpoints to keep.

        Raises:
            OutputError: the checkpoint cannot be written; earlier ones are kept.
        """
        path = self._folder / f"step-{step:09d}.pt"
        with replacing(path, sync=True) as temporary, temporary.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            if best:  # before the checkpoint, so that a kill cannot leave an outdated best one
                file.flush()
                with replacing(self.best, sync=True) as second:
                    link_or_copy(temporary, second)
        kept = [other for other in self.paths() if other <= path][-keep_last:]
        for other in self.paths():
            if other not in kept:
                other.unlink(missing_ok=True)
        return path

    def latest(self) -> tuple[Path, dict[str, Any]] | None:
        """Read the newest checkpoint; damaged ones are skipped with a warning.

        Raises:
            TrainingError: there are checkpoints, but none can be read.
        """
        paths = self.paths()
        for path in reversed(paths):
            try:
                return path, read_checkpoint(path)
            except TrainingError as error:
                logger.warning("%s; trying the checkpoint before it", error)
        if paths:
            raise TrainingError(
                f"cannot read any checkpoint in {self._folder}; start again in another run folder "
                "or from exported weights",
                options=("run", "start_from"),
            )
        return None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read one checkpoint to the CPU; no code in it is executed.

    Raises:
        TrainingError: the checkpoint is damaged, or has another format version.
    """
    try:
        _reject_changed_bytes(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can make torch raise nearly anything
        why = str(error).partition("\n")[0] or type(error).__name__
        raise TrainingError(f"the checkpoint {path} is damaged ({why})") from error
    if not isinstance(state, dict) or "format" not in state:
        raise TrainingError(f"the checkpoint {path} is damaged (it has no format version)")
    if state["format"] != FORMAT:
        raise TrainingError(
            f"the checkpoint {path} has format {state['format']} but this version reads {FORMAT}"
        )
    return state


def _reject_changed_bytes(path: Path) -> None:
    """Compare every member of the file with its checksum, which ``torch.load`` does not do.

    Raises:
        zipfile.BadZipFile: a byte has changed, or the file is not a ZIP archive.
    """
    with zipfile.ZipFile(path) as archive:
        if (member := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"the checksum of {member} differs")
