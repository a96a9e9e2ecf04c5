"""Saved states of one pass over a video, for resuming and for later corrections."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from maskcast.core.errors import StateError
from maskcast.core.files import make_folder
from maskcast.core.state import load_state, save_state, state_digest
from maskcast.runs.removal import remove_file

State = TypeVar("State")

STATES_LIMIT = 2 * 2**30
"""Largest size of kept states in bytes; above it, every second one is deleted."""

logger = logging.getLogger(__name__)


class SavedStates:
    """Saved states in a folder; the file name is the number of the step that returned the state."""

    def __init__(self, folder: Path, digest: Callable[[int], str], *, limit: int | None = None):
        """Describe a folder of states, which need not exist.

        Args:
            folder: path of the folder, which holds the states of one pass only.
            digest: returns the digest that the state after a step must have.
            limit: largest size of kept states in bytes; ``STATES_LIMIT`` by default.
        """
        self.folder = folder
        self._digest = digest
        self._limit = STATES_LIMIT if limit is None else limit
        self._spread = 1

    def numbers(self) -> list[int]:
        """Return the numbers of the steps with a saved state, in ascending order."""
        paths = self.folder.glob("*.safetensors")
        return sorted(int(path.stem) for path in paths if re.fullmatch(r"[0-9]{8}", path.stem))

    def path(self, number: int) -> Path:
        """Return the path of the state after a step."""
        return self.folder / f"{number:08d}.safetensors"

    def is_due(self, number: int, keep_every: int) -> bool:
        """Return whether the state after a step is one to keep."""
        return keep_every > 0 and number % (keep_every * self._spread) == 0

    def save(self, number: int, state: Any, *, keep_every: int = 0) -> None:
        """Save the state after a step, and delete earlier states that are no longer needed.

        The first state and the last two before this one are always kept.

        Args:
            number: number of the step; the results of all steps up to it must be on disk.
            state: the state after that step.
            keep_every: number of steps between further states to keep; 0 keeps no others.

        Raises:
            OutputError: the state cannot be written.
        """
        make_folder(self.folder)
        save_state(state, self.path(number), digest=self._digest(number))
        for torn in self.folder.glob(".*"):  # left behind by processes that were killed
            if torn.is_file():
                torn.unlink(missing_ok=True)
        self._thin_out(keep_every)
        while keep_every and self._spread < number and self.size() > self._limit:
            self._spread *= 2
            self._thin_out(keep_every)

    def newest(
        self, expected: type[State], *, before: int, device: torch.device | str
    ) -> tuple[int, State] | None:
        """Return the number and state of the last step below ``before`` with a valid state.

        Args:
            expected: class of the state, ``type(segmenter.start())``.
            before: number of the first step to take again.
            device: device to load the state on.
        """
        for number in reversed(self.numbers()):
            if number >= before or not self.is_valid(number):
                continue
            try:
                return number, load_state(self.path(number), expected, device=device)
            except StateError as error:
                logger.warning("skipping a saved state: %s", error)
        return None

    def digest(self, number: int) -> str | None:
        """Return the digest stored in a saved state; None if it has none or is unreadable."""
        return state_digest(self.path(number))

    def expected_digest(self, number: int) -> str:
        """Return the digest that the state after a step must have."""
        return self._digest(number)

    def is_valid(self, number: int) -> bool:
        """Return whether the digest of a saved state is the expected one."""
        return self.digest(number) == self._digest(number)

    def remove(self, number: int) -> None:
        """Delete the state after a step. Raises ``OutputError``."""
        remove_file(self.path(number))

    def size(self) -> int:
        """Return the size of the states in bytes."""
        return sum(self.path(number).stat().st_size for number in self.numbers())

    def _thin_out(self, keep_every: int) -> None:
        for old in self.numbers()[1:-2]:
            if not self.is_due(old, keep_every):
                self.path(old).unlink(missing_ok=True)
