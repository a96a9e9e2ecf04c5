"""Read and write object stores through fsspec. Imports no torch.

Every error becomes one of the project's, without the keys of addresses. Credentials come from the
environment, as each store's library reads them.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

from maskcast.batch.addresses import Url, without_keys
from maskcast.core.errors import (
    DataError,
    MaskcastError,
    MissingFileError,
    OutputError,
    RunConflictError,
    TransientError,
    UsageError,
)
from maskcast.core.extras import how_to_install
from maskcast.core.files import make_folder, path_inside, replacing
from maskcast.io.video.frame_folder import is_frame_file

logger = logging.getLogger(__name__)

PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "https": "aiohttp"}
"""Package that fsspec needs for a protocol."""
VERSION_KEYS = ("ETag", "etag", "generation", "mtime", "LastModified", "created")
"""Entries of the different stores that change with the content of a file; the first one is used."""
_said: set[str] = set()


class Store:
    """A folder of an object store; names are relative to it."""

    def __init__(self, url: Url) -> None:
        """Open a store. Raises ``UsageError`` if its package is not installed."""
        self.url = url
        self._files, self._path = _open(url)

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; None if it does not exist.

        Raises:
            TransientError: the store fails.
        """
        return self.read_many([name])[0]

    def read_many(self, names: Sequence[str]) -> list[bytes | None]:
        """Return the contents of small files, read at the same time; see ``read``."""
        paths = [self._at(name) for name in names]
        with _reading(self.url):
            contents = self._files.cat(paths, on_error="return") if paths else {}
        read: list[bytes | None] = []
        for path in paths:
            content = contents.get(path, contents.get(path.lstrip("/")))
            if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                with _reading(self.url):
                    raise content
            read.append(content if isinstance(content, bytes) else None)
        return read

    def names(self, folder: str) -> list[str]:
        """Return the names of all files in a folder and below it, sorted.

        Raises:
            TransientError: the store fails.
        """
        start = self._at(folder)
        with _reading(self.url), suppress(FileNotFoundError):
            paths = self._files.find(start)
            cut = self._path.strip("/")
            return sorted(path.strip("/").removeprefix(cut).strip("/") for path in paths)
        return []

    def write(self, name: str, content: bytes) -> None:
        """Write a file, replacing it. Raises ``OutputError``."""
        with _writing(self.url.joined(name)):
            self._files.pipe_file(self._at(name), content)

    def create(self, name: str, content: bytes) -> None:
        """Write a file that must not exist.

        A store that has no such operation gets a plain write, which is logged once.

        Raises:
            RunConflictError: the file exists.
            OutputError: the store fails.
        """
        url = self.url.joined(name)
        with _writing(url):
            try:
                self._files.pipe_file(self._at(name), content, mode="create")
            except FileExistsError as error:
                raise RunConflictError(f"{url} was written by another process") from error
            except (NotImplementedError, TypeError):
                self._say_once(url)
                self._files.pipe_file(self._at(name), content)

    def upload(self, files: Mapping[str, Path]) -> None:
        """Write files, at the same time where the store can. Raises ``OutputError``."""
        if files:
            with _writing(self.url):
                targets = [self._at(name) for name in files]
                self._files.put([str(path) for path in files.values()], targets)

    def download(self, name: str, path: Path) -> None:
        """Read a file into ``path``, which is replaced at the end.

        Raises:
            MissingFileError: the file does not exist.
            TransientError: the store fails.
            OutputError: the path cannot be written.
        """
        with replacing(path) as temporary, _reading(self.url.joined(name)):
            self._files.get_file(self._at(name), str(temporary))

    def remove(self, name: str) -> None:
        """Delete a file, or a folder with all files in it, if it exists. Raises ``OutputError``."""
        with _writing(self.url.joined(name)), suppress(FileNotFoundError):
            self._files.rm(self._at(name), recursive=True)

    def _at(self, name: str) -> str:
        return f"{self._path.rstrip('/')}/{name}" if name else self._path

    def _say_once(self, url: Url) -> None:
        protocol = str(url).partition("://")[0]
        if protocol not in _said:
            _said.add(protocol)
            logger.warning(
                "%s cannot create files exclusively; two processes could overwrite each other",
                protocol,
            )


def signature(url: Url) -> str:
    """Return a digest of names, sizes and versions of a file, or of the frames in a folder.

    Raises:
        MissingFileError: it does not exist.
        TransientError: the store fails.
    """
    files, path = _open(url)
    with _reading(url):
        entries = _entries(files, path)
    parts = [f"{name} {info['size']} {_version(info)}" for name, info in sorted(entries.items())]
    return blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def fetch(url: Url, folder: Path, *, largest: float) -> Path:
    """Copy a file, or the files of a folder without those in folders below it, from a store.

    Args:
        url: the file or folder.
        folder: the folder to copy into; the copy keeps its name.
        largest: maximum size in bytes.

    Returns:
        the path of the copy. A copy that is already there is used again.

    Raises:
        MissingFileError: it does not exist.
        DataError: it is larger than ``largest``, or a file has an unsafe name.
        TransientError: the store fails.
        OutputError: the copy cannot be written.
    """
    target = path_inside(folder, url.name)
    if target.exists():
        return target
    files, path = _open(url)
    with _reading(url):
        is_file = files.isfile(path)
        entries = _entries(files, path)
    size = sum(int(info["size"] or 0) for info in entries.values())
    if size > largest:
        raise DataError(
            f"{url} has {size / 1e9:.3g} GB, more than the {largest / 1e9:g} GB allowed"
        )
    if is_file:
        with replacing(target) as temporary, _reading(url):
            files.get_file(path, str(temporary))
        return target
    partial = folder / f".{target.name}.part"
    make_folder(partial)
    copies = [str(path_inside(partial, name)) for name in entries]
    with _reading(url):
        files.get([info["name"] for info in entries.values()], copies)
    partial.rename(target)
    return target


def _entries(files: Any, path: str) -> dict[str, Mapping[str, Any]]:
    """Return what a store knows of a file, or of the frames and masks in a folder, by name."""
    if files.isfile(path):
        info = files.info(path)
        return {Path(info["name"]).name: info}
    entries = files.find(path, maxdepth=1, detail=True)
    named = {Path(name).name: info for name, info in entries.items()}
    kept = {n: i for n, i in named.items() if is_frame_file(Path(n)) or n.endswith(".json")}
    if not kept:
        raise FileNotFoundError(path)
    return kept


def _version(info: Mapping[str, Any]) -> str:
    return next((str(info[key]) for key in VERSION_KEYS if info.get(key)), "")


def _open(url: Url) -> tuple[Any, str]:
    """Return the file system of an address, and the path in it."""
    core = importlib.import_module("fsspec.core")
    protocol = str(url).partition("://")[0]
    try:
        files, path = core.url_to_fs(url.text, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        package = PACKAGES.get(protocol, "fsspec")
        raise UsageError(
            f"addresses of {protocol} need {package}: {how_to_install('remote')}"
        ) from error
    return files, str(path)


@contextmanager
def _reading(url: Url) -> Iterator[None]:
    """Convert the errors of a store: the file is missing, or the error may be temporary.

    The cause is dropped, because tracebacks are logged, and a library's message may hold a key.
    """
    try:
        yield
    except MaskcastError:
        raise
    except FileNotFoundError:
        raise MissingFileError(f"{url} does not exist") from None
    except Exception as error:  # of many classes, some of which are no OSError
        raise TransientError(f"cannot read {url}: {_reason(error, url)}") from None


@contextmanager
def _writing(url: Url) -> Iterator[None]:
    """Convert the errors of a store to ``OutputError``."""
    try:
        yield
    except MaskcastError:
        raise
    except Exception as error:
        raise OutputError(f"cannot write {url}: {_reason(error, url)}") from None


def _reason(error: Exception, url: Url) -> str:
    first = without_keys(str(error), url).strip().partition("\n")[0][:200]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
