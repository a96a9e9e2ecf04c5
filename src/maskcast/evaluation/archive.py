"""Predictions in a folder or a ZIP, listed by relative name and read one file at a time.

A ZIP is read in place and never unpacked. Names that lead elsewhere, links, encrypted members and
bombs are refused before anything is read.
"""

from __future__ import annotations

import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

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


@dataclass(frozen=True)
class PredictionFiles:
    """A folder or a ZIP; can be sent to other processes."""

    path: Path

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Relative names of all files, rising, with ``/`` between folders.

        Raises:
            MissingFileError: there is no such folder or file.
            DataError: it cannot be read, or is no ZIP, or its names or sizes are hostile.
        """
        if self._is_zip:
            faults = zip_faults(self._zip)
            if faults:
                raise DataError(f"{self.path} is refused: {faults[0]}")
            return tuple(sorted(i.filename for i in self._zip.infolist() if not i.is_dir()))
        return tuple(sorted(self._walk()))

    @cached_property
    def name_set(self) -> frozenset[str]:
        """The same names, to ask whether one is there."""
        return frozenset(self.names)

    def read(self, name: str) -> bytes:
        """Return the content of one file. Raises ``DataError``."""
        try:
            if self._is_zip:
                return self._zip.read(name)
            return (self.path / name).read_bytes()
        except (OSError, RuntimeError, ValueError, EOFError, *DAMAGED) as error:
            raise DataError(f"{self.shown(name)} cannot be read: {_reason(error)}") from error

    def shown(self, name: str) -> str:
        """Return a file's name for messages."""
        return f"{self.path}:{name}" if self._is_zip else str(self.path / name)

    def __getstate__(self) -> Mapping[str, Any]:
        return {"path": self.path}  # an open archive stays in its process

    @cached_property
    def _is_zip(self) -> bool:
        if self.path.is_dir():
            return False
        if not self.path.exists():
            raise MissingFileError(f"there is no folder or archive {self.path}")
        return True

    @cached_property
    def _zip(self) -> zipfile.ZipFile:
        return open_zip(self.path)

    def _walk(self) -> Iterator[str]:
        def refuse(error: OSError) -> None:
            raise DataError(
                f"the folder {error.filename or self.path} cannot be read: {error.strerror}"
            ) from error

        for folder, folders, files in os.walk(self.path, onerror=refuse):
            folders[:] = [name for name in folders if not name.startswith(".")]
            relative = Path(folder).relative_to(self.path)
            for name in files:
                yield (relative / name).as_posix()


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open an archive; its content is not to be trusted before ``zip_faults`` has seen it.

    Raises:
        MissingFileError: there is no such file.
        DataError: it is not a ZIP.
    """
    if not path.is_file():
        raise MissingFileError(f"there is no archive {path}")
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise DataError(f"{path} is not a ZIP that can be read: {_reason(error)}") from error


def zip_faults(archive: zipfile.ZipFile) -> list[str]:
    """Say what makes an archive unsafe: names that escape, links, encryption, bombs, doubles."""
    faults: list[str] = []
    members = archive.infolist()
    seen: set[str] = set()
    for member in members:
        name = member.filename
        parts = PurePosixPath(name).parts
        if name.startswith("/") or "\\" in name or ":" in name or ".." in parts or "\0" in name:
            faults.append(f"the name {name!r} leads out of the archive")
        elif stat.S_ISLNK(member.external_attr >> 16):
            faults.append(f"{name} is a link")
        elif member.flag_bits & 1:
            faults.append(f"{name} is encrypted")
        elif member.file_size > LARGEST_MEMBER:
            faults.append(f"{name} unpacks to {member.file_size} bytes, a bomb")
        elif name in seen:
            faults.append(f"{name} is there twice")
        seen.add(name)
    total = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if total > LARGEST_ARCHIVE or total > max(RATIO_FREE, BOMB_RATIO * packed):
        faults.append(f"it unpacks from {packed} to {total} bytes, a bomb")
    return faults


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
