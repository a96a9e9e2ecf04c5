"""Tickets for downloads, and zip archives that are made while they are sent. Imports no torch."""

from __future__ import annotations

import re
import secrets
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

from maskcast.core.errors import MissingFileError, UsageError
from maskcast.io.label_maps import encode_label_map
from maskcast.runs.layout import EXPORTS
from maskcast.web.exports_list import LABELS_FILE
from maskcast.web.project import Project
from maskcast.web.results import Results

Member: TypeAlias = tuple[str, Path | Callable[[], bytes]]
"""Name in an archive, and a file or what returns its content."""
LIFETIME = 60.0
"""Seconds."""
MOST_TICKETS = 64
ZIP = ".zip"
"""Suffix of the name under which a folder is downloaded."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """The content of a download: a file, or an archive of several."""

    name: str
    file: Path | None = None
    members: tuple[Member, ...] = ()
    until: float = 0.0


class Tickets:
    """URLs that can be used once, within a minute, without the token."""

    def __init__(self) -> None:
        self._tickets: dict[str, Download] = {}

    def issue(self, download: Download) -> str:
        """Return the ticket of a download."""
        now = time.monotonic()
        self._tickets = {k: d for k, d in self._tickets.items() if d.until > now}
        if len(self._tickets) >= MOST_TICKETS:
            raise UsageError("too many downloads are waiting")
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = replace(download, until=now + LIFETIME)
        return f"/download/{ticket}/{download.name}"

    def use(self, ticket: str, name: str) -> Download | None:
        """Return the download of a ticket, once; None if the ticket is invalid."""
        download = self._tickets.pop(ticket, None)
        if download is None or download.until < time.monotonic() or download.name != name:
            return None
        return download


def find_download(project: Project, file: str, stem: str, span: tuple[int, int] | None) -> Download:
    """Return a file of the exports, or an archive of PNGs.

    Args:
        project: the open project.
        file: name of an export; a folder has ``ZIP`` added.
        stem: beginning of the file name.
        span: first frame of an archive of label maps, and the frame after the last one.

    Raises:
        UsageError: that is no name of an export.
        MissingFileError: it was not made.
    """
    if not re.fullmatch(r"[\w+-][\w.+-]*", file):
        raise UsageError(f"unknown export {file[:60]!r}")
    name = f"{stem}-{file}"
    folder = project.run / EXPORTS
    if file == LABELS_FILE:
        members = tuple(_label_maps(project, span or (0, project.count)))
    elif file.endswith(ZIP) and (folder / file.removesuffix(ZIP)).is_dir():
        members = tuple(_files_in(folder / file.removesuffix(ZIP)))
    else:
        path = folder / file
        if path.is_symlink() or not path.is_file():
            raise MissingFileError(f"there is no {file} yet")
        return Download(name=name, file=path)
    if not members:
        raise MissingFileError(f"there is no {file} yet")
    return Download(name=name, members=members)


def archive(members: tuple[Member, ...]) -> Iterator[bytes]:
    """Yield the bytes of a zip archive; members are stored, because PNGs are compressed already."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as made:  # type: ignore[call-overload]
        for name, path in members:
            content = path.read_bytes() if isinstance(path, Path) else path()
            made.writestr(name, content)
            yield sink.take()
    yield sink.take()


class _Sink:
    """A file without seeking, whose content is read piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Do nothing, because there is no buffer."""

    def take(self) -> bytes:
        """Return what was written since the last call."""
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content


def _label_maps(project: Project, span: tuple[int, int]) -> Iterator[Member]:
    results = project.results
    for frame in range(*span):
        if results.is_current(frame):
            path = results.path(frame)
            name = f"{project.opened.names[frame]}.png"
            yield name, partial(_packed, results, frame) if path is None else path


def _files_in(folder: Path) -> Iterator[Member]:
    """Yield the files of an export, without links."""
    if folder.is_symlink():
        return
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path


def _packed(results: Results, frame: int) -> bytes:
    return encode_label_map(results.read(frame))
