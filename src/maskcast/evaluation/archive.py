"""Read predictions from a folder or a ZIP, one file at a time.

A ZIP is read in place and never unpacked. Unsafe names, links, encrypted members and decompression
bombs are rejected before anything is read.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from maskcast.core.errors import DataError, MissingFileError
from maskcast.core.files import read_file
from maskcast.core.numbers import shortened
from maskcast.io.archives import LARGEST_MEMBER, open_zip, read_member, with_slashes, zip_faults


@dataclass(frozen=True)
class PredictionFiles:
    """The files in a folder or a ZIP; can be sent to other processes."""

    path: Path

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Relative names of all files, sorted, with ``/`` between folders and ``.png`` for
        ``.PNG``.

        Raises:
            MissingFileError: the folder or file does not exist.
            DataError: the path cannot be read, is not a safe ZIP archive, or has two files for one
                mask.
        """
        if self._is_zip:
            faults = zip_faults(self._zip)
            if faults:
                raise DataError.listing(f"{self.path} is not a safe archive", faults)
        return tuple(sorted(self._files))

    @cached_property
    def name_set(self) -> frozenset[str]:
        """The same names as a set, for fast look-up."""
        return frozenset(self.names)

    def read(self, name: str) -> bytes:
        """Return the content of one file. Raises ``DataError``."""
        if self._is_zip:
            return read_member(self._zip, self._files[name], self.shown(name))
        try:
            return read_file(self.path / self._files[name], largest=LARGEST_MEMBER)
        except OSError as error:
            raise DataError(f"cannot read {self.shown(name)}: {error.strerror}") from error

    def open(self, name: str) -> Path | bytes:
        """Return the path of a file in a folder, or the content of a member of an archive."""
        return self.read(name) if self._is_zip else self.path / self._files[name]

    def shown(self, name: str) -> str:
        """Return the name of a file in messages."""
        file = self._files.get(name, name)
        return f"{self.path}:{file}" if self._is_zip else str(self.path / file)

    def __getstate__(self) -> Mapping[str, Any]:
        return {"path": self.path}  # an open archive stays in its process

    @cached_property
    def _is_zip(self) -> bool:
        try:
            is_folder, is_there = self.path.is_dir(), self.path.exists()
        except (OSError, ValueError) as error:  # a name that no file can have
            raise DataError(f"cannot read {shortened(self.path)}: {error}") from error
        if not is_there:
            raise MissingFileError(f"{self.path} is neither a folder nor an archive")
        return not is_folder

    @cached_property
    def _zip(self) -> zipfile.ZipFile:
        return open_zip(self.path)

    @cached_property
    def _files(self) -> Mapping[str, str]:
        """Names as they are in the folder or archive, by the names in ``names``."""
        actual = (info.filename for info in self._zip.infolist()) if self._is_zip else self._walk()
        files: dict[str, str] = {}
        for name in actual:
            path = re.sub(
                r"\.png$", ".png", with_slashes(name) if self._is_zip else name, flags=re.IGNORECASE
            )
            if path in files:
                raise DataError(
                    f"{self.path} has two files for one mask ({files[path]}, {name}); remove one"
                )
            if not path.endswith("/"):
                files[path] = name
        return files

    def _walk(self) -> Iterator[str]:
        def fail(error: OSError) -> None:
            raise DataError(
                f"cannot read the folder {error.filename or self.path}: {error.strerror}"
            ) from error

        for folder, folders, files in os.walk(self.path, onerror=fail):
            folders[:] = [name for name in folders if not name.startswith(".")]
            relative = Path(folder).relative_to(self.path)
            for name in files:
                yield (relative / name).as_posix()
