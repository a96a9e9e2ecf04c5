"""Where a run keeps its label maps. Everything else in this package reads and writes them here.

``MaskStore`` is the interface; ``PngMasks`` keeps one PNG per frame, the default. A store knows
frames by index. Whether a frame counts as finished is for the run card and the frame log to say.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Integer

from maskcast.core.disk import flush_to_disk
from maskcast.core.errors import MissingFileError, OutputError
from maskcast.io.files import path_inside, replacing
from maskcast.io.label_maps import LabelArray, read_label_map, write_label_map


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object in one finished frame."""

    area: int
    """Pixels painted with its id."""
    confidence: float | None
    """Mean probability over these pixels; None if there are none."""


@runtime_checkable
class MaskStore(Protocol):
    """The label maps of one video in one folder.

    One process writes to a store at a time (``io.files.alone_in``). A process that is killed leaves
    every frame whole or absent.
    """

    def path(self, frame_index: int) -> Path:
        """Return the file that holds a frame, or will hold it.

        Raises:
            DataError: the frame has a name that no file can have.
        """
        ...

    def has(self, frame_index: int) -> bool:
        """Return whether the label map of a frame is there."""
        ...

    def read(self, frame_index: int) -> LabelArray:
        """Return the label map of a frame.

        Raises:
            MissingFileError: it is not there.
            DataError: it is damaged.
        """
        ...

    def write(
        self,
        frame_index: int,
        label_map: Integer[np.ndarray, "height width"],
        objects: Mapping[int, FoundObject],
    ) -> None:
        """Write a frame, in place of an earlier label map of it.

        Args:
            frame_index: from 0.
            label_map: the ids to store.
            objects: every known object by id, including those without a pixel on this frame.

        Raises:
            DataError: an id cannot be stored, or the frame has a name that no file can have.
            OutputError: the file cannot be written.
        """
        ...

    def copy_to(self, other: MaskStore, frame_index: int) -> None:
        """Put a frame into another store of the same kind, without decoding it.

        Raises:
            MissingFileError: it is not there.
            OutputError: it cannot be written.
        """
        ...

    def remove(self, frame_index: int) -> None:
        """Delete a frame if it is there. Raises ``OutputError``."""
        ...

    def flush(self) -> None:
        """Wait until the disk has everything that was written. Raises ``OutputError``."""
        ...


class PngMasks:
    """One indexed PNG per frame, ``FOLDER/NAME.png``."""

    def __init__(self, folder: Path, frame_name: Callable[[int], str]) -> None:
        self.folder = folder
        self._frame_name = frame_name
        self._unflushed: set[Path] = set()

    def path(self, frame_index: int) -> Path:
        return path_inside(self.folder, self._frame_name(frame_index), ".png")

    def has(self, frame_index: int) -> bool:
        return self.path(frame_index).is_file()

    def read(self, frame_index: int) -> LabelArray:
        return read_label_map(self.path(frame_index))

    def write(
        self,
        frame_index: int,
        label_map: Integer[np.ndarray, "height width"],
        objects: Mapping[int, FoundObject],
    ) -> None:
        path = self.path(frame_index)
        write_label_map(path, label_map)
        self._unflushed.add(path)

    def copy_to(self, other: MaskStore, frame_index: int) -> None:
        """Link the file, or copy it where links do not work."""
        source, target = self.path(frame_index), other.path(frame_index)
        if not source.is_file():
            raise MissingFileError(f"there is no file {source}")
        with replacing(target) as temporary:
            try:
                os.link(source, temporary)
            except OSError:
                shutil.copyfile(source, temporary)

    def remove(self, frame_index: int) -> None:
        path = self.path(frame_index)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot delete {path}: {error.strerror}") from error
        self._unflushed.discard(path)

    def flush(self) -> None:
        flush_files(self._unflushed, self.folder)
        self._unflushed.clear()


def flush_files(paths: set[Path], folder: Path) -> None:
    """Wait until the disk has these files and their names.

    Args:
        paths: what was written.
        folder: the run folder, for the message.

    Raises:
        OutputError: the disk reports an error.
    """
    try:
        for path in sorted(paths):
            flush_to_disk(path)
        for parent in {path.parent for path in paths}:
            flush_to_disk(parent)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from error
