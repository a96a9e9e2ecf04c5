"""The folder ``prompts/`` of a run: marks in the form that ``--masks`` reads. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np

from maskcast.core.arrays import LabelArray, MaskArray
from maskcast.core.errors import DataError
from maskcast.core.files import path_inside, write_bytes
from maskcast.io.label_maps import encode_label_map, ids_in, read_label_map
from maskcast.io.prompts.marks import MARKS, ListedMarks, read_marks, write_marks
from maskcast.runs.fingerprint import ABSENT_MARK, END_MARK, RENAME_MARK
from maskcast.runs.removal import remove_file
from maskcast.web.document import Document
from maskcast.web.layout import PROMPTS
from maskcast.web.mask_files import MaskFiles
from maskcast.web.renames import Renamed, list_changes

Marked = TypeVar("Marked")
"""An object id, or the ids of the objects that are swapped or merged."""


class PromptsFolder:
    """The label maps of the marks on each frame, and ``marks.json``."""

    def __init__(self, run: Path, names: Sequence[str], first: int, masks: MaskFiles) -> None:
        """Describe the folder in a run, which need not exist.

        Args:
            run: the run folder.
            names: names of the frames.
            first: index of the first of these frames in the whole video.
            masks: the masks of the project.
        """
        self.path = run / PROMPTS
        self._names, self._first, self._masks = names, first, masks

    def file(self, frame: int) -> Path:
        """Return the path of the label map of a frame."""
        return path_inside(self.path, self._names[frame], ".png")

    def label_map(self, document: Document, frame: int, size: tuple[int, int]) -> LabelArray | None:
        """Return the label map of the masks marked on a frame; None if there is no mask."""
        label_map = np.zeros(size, dtype=np.int32)
        marked = False
        for object_id, value in sorted(document.prompts.get(frame, {}).items()):
            mask = self._masks.get(value)
            if mask is not None:
                label_map[mask] = object_id
                marked = True
        return label_map if marked else None

    def write(
        self,
        document: Document,
        frames: Iterable[int],
        size: tuple[int, int],
        *,
        goes_backward: bool,
    ) -> None:
        """Write the masks on these frames, and the marks of all frames. Raises ``OutputError``."""
        for frame in frames:
            label_map = self.label_map(document, frame, size)
            if label_map is None:
                remove_file(self.file(frame))
            else:
                write_bytes(self.file(frame), encode_label_map(label_map), sync=True)
        self._write_marks(document.marks(goes_backward=goes_backward))

    def tidy(self, document: Document, size: tuple[int, int], *, goes_backward: bool) -> None:
        """Make the folder match a document. Raises ``OutputError``."""
        present = {path.name for path in self.path.glob("*.png")}
        stale = []
        for frame, name in enumerate(self._names):
            is_there = f"{name}.png" in present
            if is_there or frame in document.prompts:
                wanted = self.label_map(document, frame, size)
                if (wanted is not None) != is_there or not self._holds(frame, wanted):
                    stale.append(frame)
        if stale or present or document.prompts:
            self.write(document, stale, size, goes_backward=goes_backward)

    def read(self, size: tuple[int, int]) -> Document | None:
        """Return a document with the marks in the folder, without objects; None if it is empty."""
        present = {path.name for path in self.path.glob("*.png")}
        document = Document()
        for frame, name in enumerate(self._names):
            if f"{name}.png" in present:
                label_map = self._read(frame, size)
                values = {i: self._masks.put(label_map == i) for i in ids_in(label_map)}
                document = document.with_prompts(frame, values)
        marks = self._marks()
        if not document.prompts and marks == ListedMarks():
            return None
        for frame, object_id in self._indexed(marks.absent):
            document = document.with_prompts(frame, {object_id: ABSENT_MARK})
        ends = frozenset(self._indexed(marks.ends))
        renames = {
            Renamed(frame, one, other)
            for frame, (first, second) in self._indexed(marks.swaps)
            for one, other in ((first, second), (second, first))
        } | {
            Renamed(frame, part, into)
            for frame, (into, *parts) in self._indexed(marks.merges)
            for part in parts
        }
        return Document(prompts=document.prompts, ends=ends, renames=frozenset(renames))

    def mask(self, frame: int, object_id: int, size: tuple[int, int]) -> MaskArray | None:
        """Return the mask of an object on a frame; None if the file is missing or damaged."""
        with suppress(DataError, OSError):
            mask: MaskArray = self._read(frame, size) == object_id
            return mask
        return None

    def _holds(self, frame: int, wanted: LabelArray | None) -> bool:
        if wanted is None:
            return not self.file(frame).exists()
        with suppress(DataError, OSError):
            return bool(np.array_equal(self._read(frame, wanted.shape), wanted))
        return False

    def _read(self, frame: int, size: tuple[int, int]) -> LabelArray:
        label_map = read_label_map(self.file(frame))
        if label_map.shape != size:
            raise DataError(f"{self.file(frame)} does not have the size of the video")
        return label_map

    def _marks(self) -> ListedMarks:
        path = self.path / MARKS
        return read_marks(path) if path.is_file() else ListedMarks()

    def _write_marks(self, marks: dict[str, str]) -> None:
        listed: dict[str, list[tuple[int, int]]] = {ABSENT_MARK: [], END_MARK: []}
        renamed = []
        for key, value in marks.items():
            frame, object_id = map(int, key.split(":"))
            if value in listed:
                listed[value].append((frame + self._first, object_id))
            elif value.startswith(RENAME_MARK):
                other = int(value.removeprefix(RENAME_MARK))
                renamed.append(Renamed(frame + self._first, object_id, other))
        path = self.path / MARKS
        changes = list_changes(renamed)
        wanted = ListedMarks(
            absent=tuple(listed[ABSENT_MARK]),
            ends=tuple(listed[END_MARK]),
            swaps=tuple((change.frame, change.ids) for change in changes if change.is_swap),
            merges=tuple((change.frame, change.ids) for change in changes if not change.is_swap),
        )
        if wanted == ListedMarks():
            remove_file(path)
        elif not path.is_file() or self._marks_or_none() != wanted:
            write_marks(path, wanted)

    def _marks_or_none(self) -> ListedMarks | None:
        """Return the marks in the folder; None if their file is damaged."""
        with suppress(DataError):
            return self._marks()
        return None

    def _indexed(self, listed: Iterable[tuple[int | str, Marked]]) -> list[tuple[int, Marked]]:
        by_name = {name: frame for frame, name in enumerate(self._names)}
        indexed = []
        for key, marked in listed:
            frame = by_name.get(key) if isinstance(key, str) else key - self._first
            if frame is not None and 0 <= frame < len(self._names):
                indexed.append((frame, marked))
        return indexed
