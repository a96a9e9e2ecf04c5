"""Read untrusted ZIP archives in place, without unpacking them to disk.

Unsafe names, links, encrypted members and decompression bombs are detected before anything is read.
"""

from __future__ import annotations

import io
import lzma
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from maskcast.core.errors import DataError, MissingFileError

LARGEST_MEMBER = 2**28
"""Maximum unpacked size of one member, in bytes."""
LARGEST_ARCHIVE = 2**36
"""Maximum unpacked size of all members together, in bytes."""
BOMB_RATIO = 100
"""Maximum ratio of unpacked to packed size. Label maps are PNGs, which hardly shrink."""
RATIO_FREE = 2**24
"""Unpacked size in bytes up to which the ratio does not matter."""
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""Exceptions that damaged members raise, depending on their compression."""
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""Time stamp of every written member, so that the same content gives the same archive."""


def open_zip(source: Path | io.BufferedIOBase, shown: str = "") -> zipfile.ZipFile:
    """Open an archive. Call ``zip_faults`` before reading its members.

    Args:
        source: the archive.
        shown: name of the archive in messages; default: its path.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the file is not a ZIP archive.
    """
    if isinstance(source, Path) and not source.is_file():
        raise MissingFileError(f"archive {source} does not exist")
    try:
        return zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        what = shown or source
        raise DataError(f"cannot read {what} as a ZIP archive: {_reason(error)}") from error


def read_member(archive: zipfile.ZipFile, name: str, shown: str) -> bytes:
    """Return the content of one member of an archive.

    Args:
        archive: an archive in which ``zip_faults`` found nothing.
        name: name of the member.
        shown: name of the member in messages.

    Raises:
        DataError: the member is damaged.
    """
    try:
        return archive.read(name)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, *DAMAGED) as error:
        raise DataError(f"cannot read {shown}: {_reason(error)}") from error


def zip_faults(archive: zipfile.ZipFile) -> list[str]:
    """Return the reasons why an archive is unsafe to read, as one line of text each.

    They are: names that point outside, links, encryption, decompression bombs and duplicates.
    """
    faults: list[str] = []
    members = archive.infolist()
    seen: set[str] = set()
    for member in members:
        name = member.filename
        parts = PurePosixPath(name).parts
        if name.startswith("/") or "\\" in name or ":" in name or ".." in parts or "\0" in name:
            faults.append(f"the name {name!r} points outside the archive")
        elif stat.S_ISLNK(member.external_attr >> 16):
            faults.append(f"{name} is a link")
        elif member.flag_bits & 1:
            faults.append(f"{name} is encrypted")
        elif member.file_size > LARGEST_MEMBER:
            faults.append(f"{name} unpacks to {member.file_size} bytes, a decompression bomb")
        elif name in seen:
            faults.append(f"{name} occurs twice")
        seen.add(name)
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if total > LARGEST_ARCHIVE or total > max(RATIO_FREE, BOMB_RATIO * packed):
        faults.append(f"it unpacks from {packed} to {total} bytes, a decompression bomb")
    return faults


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
