"""Saved states of one pass over a video: some to resume from, some to correct from."""

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
"""Bytes of kept states; above it, the distance between them is doubled."""

logger = logging.getLogger(__name__)


class SavedStates:
    """States in a folder, each named by the number of the last step before it."""

    def __init__(self, folder: Path, digest: Callable[[int], str], *, limit: int | None = None):
        """Describe a folder of states, which need not exist.

        Args:
            folder: for states of one pass only.
            digest: returns the digest that the state after a step must have.
            limit: bytes; ``STATES_LIMIT`` by default.
        """
        self.folder = folder
        self._digest = digest
        self._limit = STATES_LIMIT if limit is None else limit
        self._spread = 1

    def numbers(self) -> list[int]:
        """Return after which steps a state is saved, rising."""
        paths = self.folder.glob("*.safetensors")
        return sorted(int(path.stem) for path in paths if re.fullmatch(r"[0-9]{8}", path.stem))

    def path(self, number: int) -> Path:
        """Return the file of the state after a step."""
        return self.folder / f"{number:08d}.safetensors"

    def is_due(self, number: int, keep_every: int) -> bool:
        """Return whether the state after a step is one of those that stay."""
        return keep_every > 0 and number % (keep_every * self._spread) == 0

    def save(self, number: int, state: Any, *, keep_every: int = 0) -> None:
        """Save the state after a step. Of those before it, the first and the last two stay.

        Args:
            number: of the step; the results of all steps up to it must be on the disk.
            state: after that step.
            keep_every: the states after every so many steps stay too; 0: none do.

        Raises:
            OutputError: it cannot be written.
        """
        make_folder(self.folder)
        save_state(state, self.path(number), digest=self._digest(number))
        for torn in self.folder.glob(".*"):  # left by processes that were killed
            if torn.is_file():
                torn.unlink(missing_ok=True)
        self._thin_out(keep_every)
        while keep_every and self._spread < number and self.size() > self._limit:
            self._spread *= 2
            self._thin_out(keep_every)

    def newest(
        self, expected: type[State], *, before: int, device: torch.device | str
    ) -> tuple[int, State] | None:
        """Return the newest valid state of a step below ``before``, and its number.

        Args:
            expected: class of the state, ``type(segmenter.start())``.
            before: number of the first step that has to be done again.
            device: where the state will be used.
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
        """Return the digest that a state was saved with, if it was, and can be read."""
        return state_digest(self.path(number))

    def expected_digest(self, number: int) -> str:
        """Return the digest that the state after a step must have."""
        return self._digest(number)

    def is_valid(self, number: int) -> bool:
        """Return whether a saved state has the digest that it must have."""
        return self.digest(number) == self._digest(number)

    def remove(self, number: int) -> None:
        """Delete the state after a step. Raises ``OutputError``."""
        remove_file(self.path(number))

    def size(self) -> int:
        """Return how many bytes the states take."""
        return sum(self.path(number).stat().st_size for number in self.numbers())

    def _thin_out(self, keep_every: int) -> None:
        for old in self.numbers()[1:-2]:
            if not self.is_due(old, keep_every):
                self.path(old).unlink(missing_ok=True)
