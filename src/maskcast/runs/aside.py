"""Results of earlier requests, kept so that undoing an edit costs no computation.

    .states/aside/<digest>/            results with this digest
        frames.jsonl                   log entries of the frames
        aside-<8 digits>.png           label maps, by frame index
        aside-<8 digits>-<id>.png      soft masks
        <8 digits>.safetensors         states

Files are hard links, or copies where the file system does not support links. Frames that a backward
pass has filled are in ``<digest>-<digest of the backward pass>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from maskcast.core.files import link_or_copy, make_folder, replacing
from maskcast.runs.folder import RunFolder
from maskcast.runs.frame_log import FrameLog, LogEntry
from maskcast.runs.layout import ASIDE, FRAME_LOG, STATES
from maskcast.runs.masks import PngMasks, flush_files
from maskcast.runs.removal import remove_file, remove_folder

ASIDE_LIMIT = 2**30
"""Bytes; above it, the oldest states are deleted, then the oldest label maps."""


class Aside:
    """The results that one run folder has set aside."""

    def __init__(self, run: RunFolder, *, limit: int | None = None) -> None:
        """Describe the folder, which need not exist; ``limit`` is ``ASIDE_LIMIT`` by default."""
        self.folder = run.path / STATES / ASIDE
        self._run = run
        self._limit = ASIDE_LIMIT if limit is None else limit
        self._known: dict[str, dict[int, LogEntry]] | None = None

    def put(self, entries: Iterable[LogEntry], states: Mapping[int, str]) -> None:
        """Set results of the run aside; they also stay where they are.

        Args:
            entries: frames whose label maps are on disk.
            states: digests of saved states, by number.

        Raises:
            OutputError: they cannot be linked or copied.
        """
        for key, group in groupby(sorted(entries, key=_key_of), key=_key_of):
            _Shelf(self.folder / key).put_frames(self._run, group)
        for number, digest in states.items():
            put_copy(self._run.states.path(number), _Shelf(self.folder / digest).state(number))

    def find(self, frame_index: int, *, filled: bool) -> LogEntry | None:
        """Return the entry of a frame of the current request, or None if it was not set aside.

        Args:
            frame_index: index of the frame.
            filled: look for the frame as the backward pass left it, rather than the forward pass.
        """
        identity = self._run.identity
        digest = identity.of_frame(frame_index)
        if self._known is None:
            self._known = {shelf.folder.name: shelf.frames() for shelf in self._folders()}
        key = f"{digest}-{identity.backward}" if filled else digest
        return self._known.get(key, {}).get(frame_index)

    def bring_back(self, entries: Iterable[LogEntry]) -> None:
        """Copy frames that ``find`` returned into the run. Raises ``OutputError``."""
        for entry in entries:
            _Shelf(self.folder / _key_of(entry)).give_back(self._run, entry)
        self._run.flush()

    def bring_back_states(self) -> None:
        """Move all states of the current request into the run. Raises ``OutputError``."""
        states = self._run.states
        for shelf in self._folders():
            for number, path in shelf.states():
                if shelf.folder.name == self._run.identity.of_tracking(number):
                    if not states.path(number).exists():
                        put_copy(path, states.path(number))
                    remove_file(path)

    def drop(self, entries: Iterable[LogEntry]) -> None:
        """Delete frames that have been brought back. Raises ``OutputError``."""
        for entry in entries:
            _Shelf(self.folder / _key_of(entry)).drop(entry)
        for shelf in self._folders():
            if not shelf.holds_anything():
                remove_folder(shelf.folder)

    def trim(self) -> None:
        """Delete the oldest states, then the oldest frames, until the size is within the limit.

        Raises:
            OutputError: a file cannot be deleted.
        """
        shelves = sorted(self._folders(), key=lambda shelf: shelf.age())
        too_much = self.size() - self._limit
        for shelf in shelves:
            for _, path in shelf.states():
                if too_much > 0:
                    too_much -= path.stat().st_size
                    remove_file(path)
        for shelf in shelves:
            if too_much > 0:
                too_much -= shelf.size()
                remove_folder(shelf.folder)

    def size(self) -> int:
        """Return the size of everything set aside, in bytes."""
        return sum(shelf.size() for shelf in self._folders())

    def _folders(self) -> Iterator[_Shelf]:
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in sorted(self.folder.iterdir()):
                if path.is_dir():
                    yield _Shelf(path)


class _Shelf:
    """The folder of results with one digest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._masks = PngMasks(folder, lambda frame_index: f"aside-{frame_index:08d}")
        self._log = FrameLog(folder / FRAME_LOG)

    def frames(self) -> dict[int, LogEntry]:
        """Return the entries of the frames whose label maps are in this folder."""
        entries = self._log.by_frame().items()
        return {frame: entry for frame, entry in entries if self._masks.has(frame)}

    def states(self) -> list[tuple[int, Path]]:
        """Return the saved states in ascending order of their numbers."""
        paths = sorted(self.folder.glob("*.safetensors"))
        return [(int(p.stem), p) for p in paths if re.fullmatch(r"[0-9]{8}", p.stem)]

    def state(self, number: int) -> Path:
        """Return the path of a state."""
        return self.folder / f"{number:08d}.safetensors"

    def put_frames(self, run: RunFolder, entries: Iterable[LogEntry]) -> None:
        """Link or copy frames of a run into this folder. Raises ``OutputError``."""
        written = {self._log.path}
        make_folder(self.folder)
        for entry in entries:
            for object_id in entry.objects:
                source = run.probability_path(entry.frame, object_id)
                if source.is_file():
                    target = self._probability(entry.frame, object_id)
                    put_copy(source, target)
                    written.add(target)
            run.masks.copy_to(self._masks, entry.frame, entry.objects)
            self._log.append(entry)
            written.add(self._masks.path(entry.frame))
        flush_files(written, self.folder)

    def give_back(self, run: RunFolder, entry: LogEntry) -> None:
        """Link or copy a frame into a run. Raises ``OutputError``."""
        for object_id in entry.objects:
            source = self._probability(entry.frame, object_id)
            if source.is_file():
                put_copy(source, run.probability_path(entry.frame, object_id))
        self._masks.copy_to(run.masks, entry.frame, entry.objects)

    def drop(self, entry: LogEntry) -> None:
        """Delete a frame. Raises ``OutputError``."""
        self._masks.remove(entry.frame)
        for object_id in entry.objects:
            remove_file(self._probability(entry.frame, object_id))

    def holds_anything(self) -> bool:
        """Return whether the folder still has a label map or a state."""
        return any(True for _ in self.folder.glob("aside-*")) or bool(self.states())

    def age(self) -> float:
        """Return when this folder was last written to, in seconds since the epoch."""
        log = self._log.path
        return (log if log.is_file() else self.folder).stat().st_mtime

    def size(self) -> int:
        """Return the size of the files in bytes."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    def _probability(self, frame_index: int, object_id: int) -> Path:
        return self.folder / f"aside-{frame_index:08d}-{object_id}.png"


def put_copy(source: Path, target: Path) -> None:
    """Link a file to a second path, or copy it where links do not work; the target is atomic.

    Raises:
        OutputError: the target cannot be written.
    """
    with replacing(target) as temporary:
        link_or_copy(source, temporary)


def _key_of(entry: LogEntry) -> str:
    """Return the name of the folder that a frame belongs in."""
    return f"{entry.digest}-{entry.backward}" if entry.backward else str(entry.digest)
