"""Storage of a run's label maps. All other modules of this package read and write through it.

``MaskStore`` is the interface. ``PngMasks``, the default, stores one PNG per frame. ``RleMasks``
stores the run lengths of all frames in one file, for batches and object stores. Frames are
addressed by index. The run card and the frame log decide whether a frame counts as finished.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Integer

from maskcast.core.arrays import LabelArray
from maskcast.core.errors import DataError, MissingFileError, OutputError
from maskcast.core.files import flush_to_disk, link_or_copy, make_folder, path_inside, replacing
from maskcast.io.label_maps import is_whole_png, read_label_map, write_label_map
from maskcast.io.mask_lines import PackedFrame, RemovedFrame, pack_frame
from maskcast.io.packed_masks import (
    CLOSED_RLE,
    OPEN_RLE,
    RleFile,
    open_rle,
    pack_rle,
    unpack_rle,
)

MaskForm: TypeAlias = Literal["png", "rle"]
"""How a run stores its masks: one PNG per frame, or run lengths of all frames in one file."""


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object in one finished frame."""

    area: int
    """Number of pixels with its id."""
    confidence: float | None
    """Mean probability over these pixels, in [0, 1]; None if there are none."""
    presence: float | None = None
    """Probability that the object is visible, 0..1; None if the method does not predict it."""


FoundByFrame: TypeAlias = Mapping[int, Mapping[int, FoundObject]]
"""The objects of each frame as the log describes them, by frame index and object id."""


@runtime_checkable
class MaskStore(Protocol):
    """The label maps of one video in one folder.

    Only one process at a time may write to a store (``core.files.alone_in``). If the process is
    killed, every frame is complete or absent.
    """

    def path(self, frame_index: int) -> Path:
        """Return the path of the file for a frame, whether or not it exists; it never changes.

        Raises:
            DataError: the name of the frame is not a valid file name.
        """
        ...

    def has(self, frame_index: int) -> bool:
        """Return whether the store has the label map of a frame."""
        ...

    def read(self, frame_index: int) -> LabelArray:
        """Return the label map of a frame.

        Raises:
            MissingFileError: the store does not have it.
            DataError: it is damaged.
        """
        ...

    def write(
        self,
        frame_index: int,
        label_map: Integer[np.ndarray, "height width"],
        objects: Mapping[int, FoundObject],
    ) -> None:
        """Write the label map of a frame, replacing an earlier one.

        Args:
            frame_index: frame index, from 0.
            label_map: object id of every pixel, 0 for background.
            objects: every known object by id, including those without a pixel on this frame.

        Raises:
            DataError: an id cannot be stored, or the name of the frame is not a valid file name.
            OutputError: the file cannot be written.
        """
        ...

    def copy_to(
        self, other: MaskStore, frame_index: int, objects: Mapping[int, FoundObject]
    ) -> None:
        """Copy a frame to another store, without decoding it if both store PNGs.

        Args:
            other: the store to copy to.
            frame_index: index of a frame in this store.
            objects: as for ``write``.

        Raises:
            MissingFileError: this store does not have the frame.
            OutputError: the frame cannot be written.
        """
        ...

    def remove(self, frame_index: int) -> None:
        """Delete a frame if the store has it. Raises ``OutputError``."""
        ...

    def flush(self) -> None:
        """Flush everything that was written to disk. Raises ``OutputError``."""
        ...

    def finish(self) -> None:
        """Convert the store to the form of a finished run; it can still be written to.

        Raises:
            OutputError: a file cannot be written.
        """
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
        return is_whole_png(self.path(frame_index))

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

    def copy_to(
        self, other: MaskStore, frame_index: int, objects: Mapping[int, FoundObject]
    ) -> None:
        """Link the file, or copy it where links do not work; other stores get the label map."""
        source = self.path(frame_index)
        if not source.is_file():
            raise MissingFileError(f"{source} does not exist")
        if not isinstance(other, PngMasks):
            other.write(frame_index, self.read(frame_index), objects)
            return
        with replacing(other.path(frame_index)) as temporary:
            link_or_copy(source, temporary)

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

    def finish(self) -> None:
        """Do nothing: PNGs are in their final form."""


class RleMasks:
    """Run lengths of all frames in ``FOLDER/masks.jsonl``; ``finish`` compresses it.

    Lines are appended, so a killed process leaves complete lines and at most one incomplete line.
    A finished store is ``masks.jsonl.gz``; writing another frame restores ``masks.jsonl``. If both
    exist, ``masks.jsonl`` is used. ``io.packed_masks`` describes the format.
    """

    def __init__(self, folder: Path, frame_name: Callable[[int], str]) -> None:
        self.folder = folder
        self._frame_name = frame_name
        self._open, self._closed = folder / OPEN_RLE, folder / CLOSED_RLE
        self._file: RleFile | None = None
        self._ends_with_a_line = False
        self._is_flushed = True

    def path(self, frame_index: int) -> Path:
        """Return ``masks.jsonl``, even while only its compressed form exists."""
        path_inside(self.folder, self._frame_name(frame_index), ".png")
        return self._open

    def has(self, frame_index: int) -> bool:
        file = self._reader()
        return file is not None and frame_index in file.frames

    def read(self, frame_index: int) -> LabelArray:
        file = self._reader()
        if file is None or frame_index not in file.frames:
            raise MissingFileError(f"{self._open} has no frame {frame_index}")
        return file.read_frame(frame_index)

    def write(
        self,
        frame_index: int,
        label_map: Integer[np.ndarray, "height width"],
        objects: Mapping[int, FoundObject],
    ) -> None:
        name = self._frame_name(frame_index)
        path_inside(self.folder, name, ".png")
        confidences = {object_id: logged.confidence for object_id, logged in objects.items()}
        self._append(pack_frame(frame_index, name, label_map, confidences))

    def copy_to(
        self, other: MaskStore, frame_index: int, objects: Mapping[int, FoundObject]
    ) -> None:
        other.write(frame_index, self.read(frame_index), objects)

    def remove(self, frame_index: int) -> None:
        if self.has(frame_index):
            self._append(RemovedFrame(frame_index))

    def flush(self) -> None:
        if not self._is_flushed:
            flush_files({self._open}, self.folder)
            self._is_flushed = True

    def finish(self) -> None:
        """Compress the frames in order, leaving out outdated lines."""
        file = self._reader()
        if file is None or not self._open.is_file():
            return
        pack_rle(file, self._closed)
        self._close()
        self._delete(self._open)
        self._is_flushed = True

    def _reader(self) -> RleFile | None:
        """Return the file in use, opened; None if neither exists."""
        if self._file is None:
            path = self._open if self._open.is_file() else self._closed
            if path.is_file():
                self._file = self._opened(path)
        return self._file

    def _opened(self, path: Path) -> RleFile:
        try:
            return open_rle(path)
        except DataError as error:
            raise DataError(f"{error.summary}; delete it to compute its frames again") from error

    def _append(self, entry: PackedFrame | RemovedFrame) -> None:
        line = entry.line()
        self._make_writable()
        self._is_flushed = False
        try:
            with self._open.open("ab") as file:
                offset = file.tell()
                start = b"" if self._ends_with_a_line else b"\n"  # keep an incomplete line apart
                self._ends_with_a_line = False
                file.write(start + line)
            self._ends_with_a_line = True
        except OSError as error:
            raise OutputError(f"cannot write {self._open}: {error.strerror}") from error
        file_of_frames = self._reader()
        assert file_of_frames is not None
        file_of_frames.note(entry, offset + len(start))

    def _make_writable(self) -> None:
        if self._open.is_file():
            if self._closed.is_file():
                self._close()
                self._delete(self._closed)
            return
        self._close()
        if self._closed.is_file():
            unpack_rle(self._closed, self._open)
            self._delete(self._closed)
        else:
            make_folder(self.folder)
        self._ends_with_a_line = False

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _delete(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot delete {path}: {error.strerror}") from error


def mask_store(form: MaskForm, folder: Path, frame_name: Callable[[int], str]) -> MaskStore:
    """Return the store of a run.

    Args:
        form: how masks are stored.
        folder: the run folder, which need not exist.
        frame_name: returns the name of the frame with an index.
    """
    return PngMasks(folder, frame_name) if form == "png" else RleMasks(folder, frame_name)


def flush_files(paths: set[Path], folder: Path) -> None:
    """Flush files and their directory entries to disk.

    Args:
        paths: the files that were written.
        folder: the run folder, named in the error message.

    Raises:
        OutputError: the operating system reports an error.
    """
    try:
        for path in sorted(paths):
            flush_to_disk(path)
        for parent in {path.parent for path in paths}:
            flush_to_disk(parent)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}") from error
