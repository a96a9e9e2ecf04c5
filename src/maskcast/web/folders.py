"""The root folder: its content, recent runs, and checks that paths stay inside. No torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Literal, TypeAlias

from maskcast.core.errors import DataError, MissingFileError, OutputError, UsageError
from maskcast.core.files import path_inside
from maskcast.io.video.frame_folder import is_frame_file
from maskcast.runs.card import RunCard, read_card
from maskcast.runs.layout import CARD, EXPORTS, STATES
from maskcast.web.clip_file import total_of
from maskcast.web.layout import APP, PROMPTS, RUNS

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".gif", ".ogv")
MOST_ENTRIES = 5000
MOST_RUNS = 200
FREE = 2**30
"""Disk space in bytes that uploads leave free."""
REAL = (PROMPTS, APP, STATES, EXPORTS)
"""Folders in a run folder that must not be links."""

Kind: TypeAlias = Literal["folder", "video", "frames", "run"]


@dataclass(frozen=True, kw_only=True)
class FolderEntry:
    """A file or folder that can be opened."""

    name: str
    path: str
    """Path relative to the root, with slashes."""
    kind: Kind
    bytes: int | None
    modified: float


class RootFolder:
    """The folder whose content the page may access."""

    def __init__(self, root: Path) -> None:
        self.path = Path(os.path.realpath(root))

    def inside(self, text: str) -> Path:
        """Return the absolute path of a file or folder below the root.

        Raises:
            UsageError: the path is outside the root.
            MissingFileError: the path does not exist.
        """
        target = self.would_be(text)
        if not target.exists():
            raise MissingFileError(f"{text} does not exist")
        return target

    def would_be(self, text: str) -> Path:
        """Return a path under the root that need not exist. Raises ``UsageError``."""
        if "\0" in text or len(text) > 4096:
            raise UsageError("invalid path")
        target = Path(os.path.realpath(self.path / text))
        if not target.is_relative_to(self.path):
            raise UsageError(f"{text} lies outside the folder {self.path.name}")
        return target

    def relative(self, path: Path) -> str:
        """Return a path for display: relative to the root if it is inside."""
        real = Path(os.path.realpath(path))
        if real.is_relative_to(self.path):
            return real.relative_to(self.path).as_posix()
        return str(path)

    def video_of(self, run: Path, named: Path | None, *, anywhere: bool = False) -> Path:
        """Return the video of a run folder.

        Args:
            run: the run folder.
            named: the video given on the command line, which may be outside the root.
            anywhere: whether any video may be outside the root.

        Raises:
            UsageError: the video is outside the root.
            MissingFileError: the video does not exist.
        """
        card = read_card(run)
        if card is None:
            raise MissingFileError(f"{self.relative(run)} is not a run folder")
        for candidate in self.inputs_of(card):
            if candidate.exists():
                if anywhere or (named is not None and candidate.samefile(named)):
                    return candidate
                return self.inside(str(candidate))
        raise MissingFileError(f"the video {card.request.input} of this run no longer exists")

    def inputs_of(self, card: RunCard) -> tuple[Path, Path]:
        """Return where the video of a run may be."""
        path = Path(card.request.input).expanduser()
        return path.absolute(), self.path / path

    def listing(self, text: str) -> dict[str, Any]:
        """Return the entries of a folder, folders first. Raises ``UsageError``, ``DataError``."""
        folder = self.inside(text)
        if not folder.is_dir():
            raise DataError(f"{text} is not a folder")
        entries = sorted(self._entries(folder), key=lambda e: (e.kind == "video", e.name.lower()))
        parent = None if folder == self.path else self.relative(folder.parent)
        shown = "" if folder == self.path else self.relative(folder)
        return {
            "path": shown,
            "parent": "" if parent == "." else parent,
            "entries": [asdict(entry) for entry in entries],
        }

    def recent(self) -> list[dict[str, Any]]:
        """Return the runs up to two levels below the root, newest first."""
        runs = []
        for pattern in ("*", "*/*"):
            for path in self.path.glob(f"{pattern}/{CARD}"):
                with suppress(OSError, DataError):
                    if not self._leaves(path) and (card := read_card(path.parent)) is not None:
                        runs.append(_described(self, path, card))
        runs.sort(key=lambda run: run["modified"], reverse=True)
        return runs[:MOST_RUNS]

    def free_run(self, video: Path) -> Path:
        """Return a folder for a new run of a video: ``maskcast-runs/NAME``, or ``NAME-2``, …"""
        return next(path for path in self._candidates(video) if not _is_used(path))

    def runs_of(self, video: Path) -> Iterator[Path]:
        """Yield the folders that runs of a video may be in, up to the first free one."""
        return takewhile(_is_used, self._candidates(video))

    def _candidates(self, video: Path) -> Iterator[Path]:
        stem = (video.name if video.is_dir() else video.stem).lstrip(".") or "video"
        yield path_inside(self.path / RUNS, stem)
        for number in count(2):
            yield path_inside(self.path / RUNS, f"{stem}-{number}")

    def check_space(self, size: int) -> None:
        """Raise ``OutputError`` if the disk has too little space for an upload."""
        if shutil.disk_usage(self.path).free - size < FREE:
            raise OutputError("the disk is full: uploads leave 1 GiB free")

    def _entries(self, folder: Path) -> Iterator[FolderEntry]:
        try:
            children = list(os.scandir(folder))[:MOST_ENTRIES]
        except OSError as error:
            raise DataError(f"cannot read {folder.name}: {error.strerror}") from error
        for child in children:
            if child.name.startswith(".") or self._leaves(Path(child.path)):
                continue
            with suppress(OSError, UnicodeError):
                child.name.encode()
                kind = _kind_of(child)
                if kind is not None:
                    status = child.stat()
                    yield FolderEntry(
                        name=child.name,
                        path=self.relative(Path(child.path)),
                        kind=kind,
                        bytes=status.st_size if kind == "video" else None,
                        modified=status.st_mtime,
                    )

    def _leaves(self, path: Path) -> bool:
        return not Path(os.path.realpath(path)).is_relative_to(self.path)


def remove_if_empty(run: Path) -> None:
    """Delete a run folder without results."""
    with suppress(OSError):
        for path in (run / APP, run):
            path.rmdir()


def refuse_links(run: Path) -> None:
    """Raise ``DataError`` if a folder to write to is a link."""
    for name in REAL:
        path = run / name
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise DataError(f"{path} must be a folder, and not a link")


def _is_used(path: Path) -> bool:
    return path.is_dir() and any(path.iterdir())


def _kind_of(entry: os.DirEntry[str]) -> Kind | None:
    if entry.is_file():
        return "video" if Path(entry.name).suffix.lower() in VIDEOS else None
    if not entry.is_dir():
        return None
    if Path(entry.path, CARD).is_file():
        return "run"
    shown = [path for path in Path(entry.path).iterdir() if not path.name.startswith(".")]
    has_frames = any(map(is_frame_file, shown))
    return "frames" if has_frames and not any(path.is_dir() for path in shown) else "folder"


def _described(root: RootFolder, card_path: Path, card: RunCard) -> dict[str, Any]:
    run = card_path.parent
    return {
        "path": root.relative(run),
        "video": Path(card.request.input).name,
        "modified": card_path.stat().st_mtime,
        "done": card.frames,
        "total": total_of(run, card),
        "status": card.status,
        "lost": not any(path.exists() for path in root.inputs_of(card)),
    }
