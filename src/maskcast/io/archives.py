"""ZIP archives from elsewhere, read in place and never unpacked.

Names that lead elsewhere, links, encrypted members and bombs are found before anything is read.
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
"""Bytes that one file of an archive may unpack to."""
LARGEST_ARCHIVE = 2**36
"""Bytes that all files of an archive may unpack to."""
BOMB_RATIO = 100
"""An archive that unpacks to so many times its own size is refused (beyond ``RATIO_FREE`` bytes):
label maps are PNGs, which hardly shrink."""
RATIO_FREE = 2**24
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""What a damaged member raises, by the way in which it is packed."""
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""Time stamp of every member that is written, so that the same content makes the same archive."""


def open_zip(source: Path | io.BufferedIOBase, shown: str = "") -> zipfile.ZipFile:
    """Open an archive; its content is not to be trusted before ``zip_faults`` has seen it.

    Args:
        source: the archive.
        shown: how messages name it; by default its path.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is not a ZIP.
    """
    if isinstance(source, Path) and not source.is_file():
        raise MissingFileError(f"archive {source} does not exist")
    try:
        return zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        what = shown or source
        raise DataError(f"cannot read {what} as a ZIP archive: {_reason(error)}") from error


def read_member(archive: zipfile.ZipFile, name: str, shown: str) -> bytes:
    """Return the content of one file of an archive.

    Args:
        archive: without ``zip_faults``.
        name: of the member.
        shown: how messages name it.

    Raises:
        DataError: it is damaged.
    """
    try:
        return archive.read(name)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, *DAMAGED) as error:
        raise DataError(f"cannot read {shown}: {_reason(error)}") from error


def zip_faults(archive: zipfile.ZipFile) -> list[str]:
    """Say what makes an archive unsafe: names that escape, links, encryption, bombs, doubles."""
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
