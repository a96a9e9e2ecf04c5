"""Bring a manifest to the disk: from standard input, a store, or a Parquet file. No torch."""

from __future__ import annotations

import importlib
import json
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from maskcast.batch.addresses import Location, Url
from maskcast.batch.store import Store
from maskcast.core.errors import DataError, MissingFileError, UsageError
from maskcast.core.extras import how_to_install

STANDARD_INPUT = "-"
ROWS_AT_ONCE = 10_000
"""Number of rows of a Parquet file that are converted together."""


@dataclass(frozen=True)
class ManifestFile:
    """A manifest on the disk, as JSON lines or CSV."""

    path: Path
    base: Location
    """Folder that relative paths start from."""
    name: str
    """Name of the manifest in messages."""


@contextmanager
def manifest_file(location: Location, read_input: Callable[[int], bytes]) -> Iterator[ManifestFile]:
    """Yield a manifest that may be somewhere else, or in another form; copies are temporary.

    Args:
        location: the manifest; ``-`` reads JSON lines from standard input, whose relative paths
            start from the current folder.
        read_input: reads up to a number of bytes from standard input; empty at its end.

    Raises:
        MissingFileError: it does not exist.
        DataError: a Parquet file is damaged.
        UsageError: the package for Parquet files is not installed.
    """
    with TemporaryDirectory() as folder:
        path = location if isinstance(location, Path) else Path(folder) / location.name
        base, name = location.parent, str(location)
        if isinstance(location, Url):
            Store(location.parent).download(location.name, path)
        elif str(location) == STANDARD_INPUT:
            path, base, name = Path(folder) / "stdin.jsonl", Path(), "standard input"
            with path.open("wb") as file:
                while chunk := read_input(2**20):
                    file.write(chunk)
        if path.suffix.lower() == ".parquet":
            path = _as_json_lines(path, Path(folder) / "rows.jsonl")
        yield ManifestFile(path, base, name)


def check_manifest(path: Path) -> None:
    """Check that a manifest can be opened.

    Raises:
        MissingFileError: it does not exist.
        DataError: it is a folder or another special file, or the system does not open it.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise MissingFileError(f"manifest {path} does not exist", options=("manifest",)) from error
    except OSError as error:
        raise DataError(
            f"cannot open manifest {path}: {error.strerror}", options=("manifest",)
        ) from error
    if stat.S_ISDIR(mode):
        raise DataError(
            f"manifest {path} is a folder; write a manifest of its videos first",
            options=("manifest",),
        )
    if not stat.S_ISREG(mode):
        raise DataError(f"manifest {path} is not a regular file", options=("manifest",))


def _as_json_lines(path: Path, target: Path) -> Path:
    check_manifest(path)
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(
            f"Parquet files need pyarrow: {how_to_install('parquet')}", options=("manifest",)
        ) from error
    try:
        with target.open("w", encoding="utf-8") as file:
            for rows in parquet.ParquetFile(path).iter_batches(ROWS_AT_ONCE):
                for row in rows.to_pylist():
                    file.write(json.dumps(_without_none(row), default=str) + "\n")
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise DataError(f"cannot read {path}: {error}", options=("manifest",)) from error
    return target


def _without_none(value: Any) -> Any:
    """Return a value without empty cells, also inside objects and lists."""
    if isinstance(value, Mapping):
        return {name: _without_none(entry) for name, entry in value.items() if entry is not None}
    return [_without_none(entry) for entry in value] if isinstance(value, list) else value
