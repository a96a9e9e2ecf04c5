"""Read untrusted ZIP archives in place, without unpacking them to disk.

Unsafe names, links, encrypted members and decompression bombs are detected before anything is read.
"""

from __future__ import annotations

import io
import stat
import struct
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
COMPRESSIONS = frozenset((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
"""Allowed compressions. The decoders of others, such as LZMA, cannot be stopped at a size."""
DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error)
"""Exceptions that damaged archives and members raise."""
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
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        what = shown or source
        raise DataError(f"cannot read {what} as a ZIP archive: {_reason(error)}") from error


def read_member(archive: zipfile.ZipFile, name: str, shown: str) -> bytes:
    """Return the content of one member of an archive.

    Args:
        archive: an archive in which ``zip_faults`` found nothing.
        name: name of the member in the archive.
        shown: name of the member in messages.

    Raises:
        DataError: the member is damaged.
    """
    try:
        return unpacked(archive, name)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, *DAMAGED) as error:
        raise DataError(f"cannot read {shown}: {_reason(error)}") from error


def unpacked(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the content of one member; no more is unpacked than the archive's directory declares.

    Raises:
        KeyError: there is no such member.
        zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError:
            the member is damaged, or larger than declared.
    """
    with archive.open(name) as member:
        return member.read(archive.getinfo(name).file_size + 1)


def zip_faults(archive: zipfile.ZipFile) -> list[str]:
    """Return the reasons why an archive is unsafe to read, as one line of text each.

    They are: names that point outside, links, encryption, unusual compressions, decompression bombs
    and duplicates. Backslashes in names, which some programs on Windows write, count as slashes.
    """
    faults: list[str] = []
    members = archive.infolist()
    seen: set[str] = set()
    for member in members:
        name = member.filename
        path = with_slashes(name)
        if path.startswith("/") or ":" in path or ".." in PurePosixPath(path).parts:
            faults.append(f"the name {name!r} points outside the archive")
        elif stat.S_ISLNK(member.external_attr >> 16):
            faults.append(f"{name} is a link")
        elif member.flag_bits & 1:
            faults.append(f"{name} is encrypted")
        elif member.compress_type not in COMPRESSIONS:
            faults.append(f"{name} has an unsupported compression; use ZIP's default (deflate)")
        elif member.file_size > LARGEST_MEMBER:
            faults.append(f"{name} unpacks to {member.file_size} bytes, a decompression bomb")
        elif path in seen:
            faults.append(f"{name} occurs twice")
        seen.add(path)
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if total > LARGEST_ARCHIVE or total > max(RATIO_FREE, BOMB_RATIO * packed):
        faults.append(f"it unpacks from {packed} to {total} bytes, a decompression bomb")
    return faults


def with_slashes(name: str) -> str:
    """Return the name of a member with ``/`` between folders, as the ZIP format requires.

    A ``./`` before it is removed.
    """
    return name.replace("\\", "/").removeprefix("./")


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
