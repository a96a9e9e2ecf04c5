"""Tickets for downloads, and zip archives that are made while they are sent. Imports no torch."""

from __future__ import annotations

import secrets
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from maskcast.core.errors import MissingFileError, UsageError
from maskcast.io.label_maps import encode_label_map
from maskcast.runs.layout import EXPORTS
from maskcast.web.exports_list import FILES
from maskcast.web.project import Project
from maskcast.web.results import Results

LIFETIME = 60.0
"""Seconds."""
MOST_TICKETS = 64
CUTOUT = "cutout"
"""Folder of the PNG sequence among the exports."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """The content of a download: a file, or an archive of several."""

    name: str
    file: Path | None = None
    members: tuple[tuple[str, Path | Callable[[], bytes]], ...] = ()
    """Names in an archive, and files or what returns their content."""
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
        file: name of an export (``exports_list.FILES``).
        stem: beginning of the file name.
        span: first frame of an archive of label maps, and the frame after the last one.

    Raises:
        UsageError: there is no such export.
        MissingFileError: it was not made.
    """
    if file not in FILES:
        raise UsageError(f"unknown export {file!r}")
    name = f"{stem}-{file}"
    if file.endswith(".zip"):
        members = tuple(_members(project, file, span or (0, project.count)))
        if not members:
            raise MissingFileError(f"there is no {file} yet")
        return Download(name=name, members=members)
    path = project.run / EXPORTS / file
    if path.is_symlink() or not path.is_file():
        raise MissingFileError(f"there is no {file} yet")
    return Download(name=name, file=path)


def archive(members: tuple[tuple[str, Path | Callable[[], bytes]], ...]) -> Iterator[bytes]:
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


def _members(
    project: Project, file: str, span: tuple[int, int]
) -> Iterator[tuple[str, Path | Callable[[], bytes]]]:
    results = project.results
    for frame in range(*span):
        name = f"{project.opened.names[frame]}.png"
        path: Path | None = project.run / EXPORTS / CUTOUT / name
        if file == "labels.zip":
            if not results.is_current(frame):
                continue
            path = results.path(frame)
        if path is None:
            yield name, partial(_packed, results, frame)
        elif path.is_file() and not path.is_symlink():
            yield name, path


def _packed(results: Results, frame: int) -> bytes:
    return encode_label_map(results.read(frame))
