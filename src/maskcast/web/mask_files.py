"""Masks of prompts as 1-bit PNGs, named by their fingerprints. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from maskcast.core.arrays import MaskArray
from maskcast.core.errors import DataError
from maskcast.core.files import replacing
from maskcast.io.pictures import open_picture
from maskcast.runs.fingerprint import prompt_fingerprints


class MaskFiles:
    """The masks of one project; a file whose content does not match its name is ignored."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        """Describe a folder, which need not exist; ``size`` is height and width of the frames."""
        self._folder = folder
        self.size = size

    def put(self, mask: MaskArray) -> str:
        """Store a mask and return its value on a run card. Raises ``OutputError``."""
        value = value_of(mask)
        path = self._path(value)
        if not path.is_file():
            with replacing(path, sync=True) as temporary:
                Image.fromarray(mask).save(temporary, format="PNG", compress_level=1)
        return value

    def get(self, value: str) -> MaskArray | None:
        """Return the mask of a value; None if it is missing or damaged."""
        if not re.fullmatch("mask [0-9a-f]{32}", value):
            return None
        path = self._path(value)
        with suppress(DataError, OSError):
            mask: MaskArray = np.asarray(open_picture(path).convert("L")) > 0
            if mask.shape == self.size and value_of(mask) == value:
                return mask
        return None

    def has(self, value: str) -> bool:
        """Return whether there is a file for a value."""
        return bool(re.fullmatch("mask [0-9a-f]{32}", value)) and self._path(value).is_file()

    def sweep(self, kept: Collection[str]) -> None:
        """Delete all masks except those with these values."""
        names = {self._path(value).name for value in kept if value.startswith("mask ")}
        for path in self._folder.glob("*.png"):
            if path.name not in names:
                with suppress(OSError):
                    path.unlink()

    def _path(self, value: str) -> Path:
        return self._folder / f"{value.removeprefix('mask ')}.png"


def value_of(mask: MaskArray) -> str:
    """Return the value of a mask on a run card."""
    return prompt_fingerprints({0: {1: mask}})["0:1"]
