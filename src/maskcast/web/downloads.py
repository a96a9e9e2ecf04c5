"""Tickets for downloads, and zip archives that are made while they are sent. Imports no torch."""

from __future__ import annotations

import secrets
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from maskcast.core.errors import MissingFileError, UsageError
from maskcast.runs.layout import EXPORTS
from maskcast.web.exports_list import FILES
from maskcast.web.project import Project

LIFETIME = 60.0
"""Seconds."""
MOST_TICKETS = 64


@dataclass(frozen=True, kw_only=True)
class Download:
    """What a ticket stands for: a file, or an archive of several."""

    name: str
    file: Path | None = None
    members: tuple[tuple[str, Path], ...] = ()
    until: float = 0.0


class Tickets:
    """Addresses that can be used once, within a minute, without the token."""

    def __init__(self) -> None:
        self._tickets: dict[str, Download] = {}

    def issue(self, download: Download) -> str:
        """Return an address."""
        now = time.monotonic()
        self._tickets = {k: d for k, d in self._tickets.items() if d.until > now}
        if len(self._tickets) >= MOST_TICKETS:
            raise UsageError("too many downloads are waiting")
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = Download(
            name=download.name,
            file=download.file,
            members=download.members,
            until=now + LIFETIME,
        )
        return f"/download/{ticket}/{download.name}"

    def use(self, ticket: str, name: str) -> Download | None:
        """Return what a ticket stands for, once; None: it is not valid."""
        download = self._tickets.pop(ticket, None)
        if download is None or download.until < time.monotonic() or download.name != name:
            return None
        return download


def find_download(project: Project, file: str, stem: str) -> Download:
    """Return a file of the exports, or an archive of PNGs.

    Args:
        project: whose.
        file: name of an export (``exports_list.FILES``).
        stem: beginning of the name that the file gets.

    Raises:
        UsageError: there is no such export.
        MissingFileError: it was not made.
    """
    if file not in FILES:
        raise UsageError(f"unknown export {file!r}")
    name = f"{stem}-{file}"
    if file.endswith(".zip"):
        members = tuple(_members(project, file))
        if not members:
            raise MissingFileError(f"there is no {file} yet")
        return Download(name=name, members=members)
    path = project.run / EXPORTS / file
    if path.is_symlink() or not path.is_file():
        raise MissingFileError(f"there is no {file} yet")
    return Download(name=name, file=path)


def archive(members: tuple[tuple[str, Path], ...]) -> Iterator[bytes]:
    """Yield the bytes of a zip archive; the pictures in it are packed already."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as made:  # type: ignore[call-overload]
        for name, path in members:
            made.write(path, name)
            yield sink.take()
    yield sink.take()


class _Sink:
    """A file that cannot be rewound, whose content is taken piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def take(self) -> bytes:
        """Return what was written since the last call."""
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content


def _members(project: Project, file: str) -> Iterator[tuple[str, Path]]:
    for frame, name in enumerate(project.opened.names):
        if file == "labels.zip":
            path = project.results.path(frame) if project.results.stamp(frame) else None
        else:
            path = project.run / EXPORTS / "cutout" / f"{name}.png"
        if path is not None and path.is_file() and not path.is_symlink():
            yield f"{name}.png", path
