"""Saved states of one pass over a video: the first and the last two, to go on from."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, TypeVar

import torch

from maskcast.core.errors import StateError
from maskcast.core.state import load_state, save_state
from maskcast.io.files import make_folder

State = TypeVar("State")

logger = logging.getLogger(__name__)


class SavedStates:
    """States in a folder, each named by the number of the last step before it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def numbers(self) -> list[int]:
        """Return after which steps a state is saved, rising."""
        paths = self.folder.glob("*.safetensors")
        return sorted(int(path.stem) for path in paths if path.stem.isdecimal())

    def save(self, number: int, state: Any, *, keep_every: int | None = None) -> None:
        """Save the state after a step; of those before, the first and the last two stay.

        Args:
            number: of the step; all that steps up to it found must be written.
            state: after that step.
            keep_every: states after every so many steps stay too.

        Raises:
            OutputError: it cannot be written.
        """
        make_folder(self.folder)
        save_state(state, self._path(number))
        for torn in self.folder.glob(".*"):  # what saves that were killed have left
            torn.unlink(missing_ok=True)
        for old in self.numbers()[1:-2]:
            if not keep_every or old % keep_every:
                self._path(old).unlink(missing_ok=True)

    def newest(
        self, expected: type[State], *, before: int, device: torch.device | str
    ) -> tuple[int, State] | None:
        """Return the newest state that loads, of a step below ``before``, and its number.

        Args:
            expected: class of the state, ``type(segmenter.start())``.
            before: number of the first step that has to be done again.
            device: where the state is to be.
        """
        for number in reversed(self.numbers()):
            if number >= before:
                continue
            try:
                return number, load_state(self._path(number), expected, device=device)
            except StateError as error:
                logger.warning("passing over a saved state: %s", error)
        return None

    def forget_from(self, number: int) -> None:
        """Delete the states after this step and later ones."""
        for saved in self.numbers():
            if saved >= number:
                self._path(saved).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.safetensors"
