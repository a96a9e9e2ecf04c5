"""Checkpoints: whole or absent, the last few and the best, safe to read."""

from __future__ import annotations

import logging
import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from maskcast.core.errors import TrainingError
from maskcast.core.files import replacing

FORMAT = 1
BEST = "best.pt"
_NAME = re.compile(r"step-(\d{9})\.pt")
_DAMAGED = (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, KeyError)

logger = logging.getLogger(__name__)


class CheckpointFolder:
    """The checkpoints of one run, named by the number of steps that are done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def paths(self) -> list[Path]:
        """Return the numbered checkpoints, oldest first."""
        return sorted(path for path in self._folder.glob("step-*.pt") if _NAME.match(path.name))

    @property
    def best(self) -> Path:
        """Where the best checkpoint is, if there is one."""
        return self._folder / BEST

    def save(self, state: Mapping[str, Any], *, step: int, best: bool, keep_last: int) -> Path:
        """Write a checkpoint, then remove those before the last few.

        Those of later steps are removed, too: they are damaged, or the run had begun from them.

        Args:
            state: tensors and plain values.
            step: how many steps are done.
            best: keep it as the best one, too.
            keep_last: how many numbered ones to keep.

        Raises:
            OutputError: it cannot be written; those before it are still there.
        """
        path = self._folder / f"step-{step:09d}.pt"
        with replacing(path, sync=True) as temporary, temporary.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            if best:  # first, so that no kill leaves a later checkpoint with an older best one
                file.flush()
                with replacing(self.best, sync=True) as second:
                    _link_or_copy(temporary, second)
        kept = [each for each in self.paths() if each <= path][-keep_last:]
        for each in self.paths():
            if each not in kept:
                each.unlink(missing_ok=True)
        return path

    def latest(self) -> tuple[Path, dict[str, Any]] | None:
        """Read the newest checkpoint; a damaged one is passed over, with a warning.

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
    """Read one checkpoint to the CPU; nothing in it is executed.

    Raises:
        TrainingError: it is damaged, or of another version.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        version = state["format"]
    except _DAMAGED as error:
        why = str(error).partition("\n")[0]
        raise TrainingError(f"the checkpoint {path} is damaged ({why})") from error
    if version != FORMAT:
        raise TrainingError(
            f"the checkpoint {path} has format {version} but this version reads {FORMAT}"
        )
    assert isinstance(state, dict)
    return state


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
