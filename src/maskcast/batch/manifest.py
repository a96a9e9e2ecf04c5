"""Read a manifest: one row per video, as JSON lines or as CSV with a header. Imports no torch.

The whole file is checked once, and an index of 24 bytes per row is kept. Rows are parsed again when
their turn comes, so that a million rows take little memory.
"""

from __future__ import annotations

import csv
import hashlib
import io
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from jaxtyping import Int64

from maskcast.batch.job import VideoJob
from maskcast.batch.manifest_file import check_manifest
from maskcast.batch.rows import RowError, RowFault, RowRules, from_csv, parse_row, plain_row
from maskcast.core.errors import DataError
from maskcast.core.numbers import shortened
from maskcast.core.strict_json import parse_json

LARGEST_LINE = 2**20
"""Maximum length of a line in bytes."""
MOST_FAULTS = 100
"""Maximum number of errors listed in a message."""
UNKNOWN = -1.0
"""Stands for an unknown length in the index."""
_TOO_LONG = f"the line has more than {LARGEST_LINE} bytes"


@dataclass(frozen=True)
class _Record:
    """One row of the file before it is checked."""

    line: int
    """Number of its first line, from 1."""
    offset: int
    """Position of its first byte."""
    values: dict[str, Any]
    fault: str = ""


class Manifest:
    """The rows of a manifest, in the order in which they are segmented."""

    def __init__(
        self,
        path: Path,
        rules: RowRules,
        *,
        shard: tuple[int, int] = (0, 1),
        limit: int | None = None,
        name: str | None = None,
    ) -> None:
        """Read and check the whole file.

        Args:
            path: the file; its extension decides the format.
            rules: how rows are understood.
            shard: index and number of the shards; only rows of this one are kept, chosen by id.
            limit: maximum number of rows to keep, those that come first.
            name: name of the manifest in messages; None means the path.

        Raises:
            MissingFileError: the file does not exist.
            DataError: the file has no rows, or some rows are wrong; all errors are listed.
        """
        self.path = path
        self.name = path.name if name is None else name
        self._shown = str(path) if name is None else name
        self.rules = replace(rules, model_fault=None)
        self.total_rows = 0
        """Number of rows of all shards."""
        self.known_seconds = 0.0
        """Sum of the known lengths of the rows of this shard, in seconds."""
        check_manifest(path)
        self._kind = _kind_of(path)
        self._stream: BinaryIO = path.open("rb")
        self._header: list[str] = []
        self._offsets = array("q")
        self.sha256 = ""
        ranks = self._read(rules, shard)
        order = ranks[:limit]
        self._offsets = array("q", np.asarray(self._offsets, np.int64)[order].tobytes())

    def __len__(self) -> int:
        return len(self._offsets)

    def jobs(self) -> Iterator[VideoJob]:
        """Yield the jobs of this shard: higher priority first, then longer, then as in the file."""
        return (self.job(number) for number in range(len(self)))

    def job(self, number: int) -> VideoJob:
        """Return the job that comes ``number``-th.

        Raises:
            DataError: the file was changed since it was read.
        """
        try:
            self._stream.seek(self._offsets[number])
            record = next(_records(self._stream, self._kind, self._header))
            if not record.fault:
                return parse_row(record.values, self.rules)
        except (StopIteration, RowError) as error:
            raise DataError(f"{self._shown} changed while the batch was reading it") from error
        raise DataError(f"{self._shown} changed while the batch was reading it")

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _read(self, rules: RowRules, shard: tuple[int, int]) -> Int64[np.ndarray, " rows"]:
        """Check all rows, fill the index, and return the order of the rows of this shard."""
        faults: list[tuple[int, RowFault]] = []
        names = _Names()
        priorities, lengths = array("q"), array("d")
        index, count = shard
        digest = hashlib.sha256()
        while chunk := self._stream.read(2**20):
            digest.update(chunk)
        self.sha256 = digest.hexdigest()
        self._stream.seek(0)
        self._header = _read_header(self._stream, self.path) if self._kind == "csv" else []
        for record in _records(self._stream, self._kind, self._header, first_line=self._first):
            self.total_rows += 1
            try:
                if record.fault:
                    raise RowError([RowFault("", record.fault)])
                row = plain_row(record.values, rules) or parse_row(record.values, rules)
            except RowError as error:
                faults += ((record.line, fault) for fault in error.faults)
                continue
            names.add(row.id, record.line)
            if count == 1 or shard_of(row.id, count) == index:
                self._offsets.append(record.offset)
                priorities.append(row.priority)
                lengths.append(UNKNOWN if row.seconds is None else row.seconds)
                self.known_seconds += row.seconds or 0.0
        faults += names.faults()
        self._reject(faults)
        return np.lexsort((-np.asarray(lengths), -np.asarray(priorities)))

    @property
    def _first(self) -> int:
        return 2 if self._kind == "csv" else 1

    def _reject(self, faults: list[tuple[int, RowFault]]) -> None:
        if not self.total_rows:
            raise DataError(f"manifest {self._shown} has no rows", options=("manifest",))
        if not faults:
            return
        faults.sort(key=lambda fault: fault[0])
        lines = [_described(line, fault) for line, fault in faults[:MOST_FAULTS]]
        if len(faults) > MOST_FAULTS:
            lines.append(f"{len(faults) - MOST_FAULTS} more")
        raise DataError.listing(f"manifest {self._shown} has errors", lines, options=("manifest",))


def shard_of(job_id: str, count: int) -> int:
    """Return the index of the shard that a video belongs to, of ``count`` shards."""
    return int.from_bytes(blake2b(job_id.encode(), digest_size=8).digest(), "big") % count


def _described(line: int, fault: RowFault) -> str:
    field = f", {fault.field}" if fault.field else ""
    return f"line {line}{field}: {fault.sentence}"


class _Names:
    """Finds ids that are equal or lie inside one another, with 16 bytes per row."""

    def __init__(self) -> None:
        self._hashes, self._lines = array("Q"), array("q")
        self._parents: dict[int, str] = {}

    def add(self, job_id: str, line: int) -> None:
        folded = job_id.casefold()
        self._hashes.append(_hash(folded))
        self._lines.append(line)
        parent = folded.rpartition("/")[0]
        while parent and _hash(parent) not in self._parents:
            self._parents[_hash(parent)] = parent
            parent = parent.rpartition("/")[0]

    def faults(self) -> Iterator[tuple[int, RowFault]]:
        hashes = np.asarray(self._hashes, np.uint64)
        order = np.argsort(hashes, kind="stable")
        repeats = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
        for position in islice(repeats, MOST_FAULTS + 1):
            first, second = (self._lines[order[i]] for i in (position, position + 1))
            sentence = f"the id of line {first} is the same (upper and lower case do not differ)"
            yield second, RowFault("id", sentence)
        parents = np.fromiter(self._parents, np.uint64, len(self._parents))
        for position in islice(np.flatnonzero(np.isin(hashes, parents)), MOST_FAULTS + 1):
            name = shortened(self._parents[int(hashes[position])], 80)
            sentence = f"{name} is also a folder of another id; rename one of them"
            yield self._lines[position], RowFault("id", sentence)


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def _kind_of(path: Path) -> Literal["json", "csv"]:
    extension = path.suffix.lower()
    if extension in (".jsonl", ".ndjson"):
        return "json"
    if extension == ".csv":
        return "csv"
    raise DataError(
        f"manifest {path} must be JSON lines (.jsonl), CSV (.csv) or Parquet, got "
        f"{extension or 'no extension'}",
        options=("manifest",),
    )


class _Lines:
    """Reads lines of limited length, and counts them and their bytes."""

    def __init__(self, stream: BinaryIO, first_line: int) -> None:
        self._stream = stream
        self.line = first_line
        self.offset = stream.tell()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        content = self._stream.readline(LARGEST_LINE + 1)
        if not content:
            raise StopIteration
        self.line += 1
        self.offset += len(content)
        if len(content) > LARGEST_LINE:
            raise DataError(_TOO_LONG)
        return content.decode("utf-8-sig" if self.offset == len(content) else "utf-8")


def _read_header(stream: BinaryIO, path: Path) -> list[str]:
    with io.StringIO(next(iter(_Lines(stream, 1)), "")) as line:
        names = [name.strip() for name in next(csv.reader(line), [])]
    repeated = {shortened(name) for name in names if names.count(name) > 1}
    if "video" not in names or repeated:
        what = f"names {min(repeated)} twice" if repeated else "does not name a column video"
        raise DataError(
            f"manifest {path}: the first line {what}; it must name the fields, separated by commas",
            options=("manifest",),
        )
    return names


def _records(
    stream: BinaryIO, kind: Literal["json", "csv"], header: list[str], *, first_line: int = 1
) -> Iterator[_Record]:
    """Yield the rows from the current position of the file on."""
    lines = _Lines(stream, first_line)
    read: Iterator[str | list[str]] = lines
    if kind == "csv":
        read = iter(csv.reader(lines, strict=True))
    while True:
        line, offset = lines.line, lines.offset
        try:
            content = next(read)
            if not content or (isinstance(content, str) and content.isspace()):
                continue
            yield _Record(line, offset, _values(content, header))
        except StopIteration:
            return
        except (DataError, ValueError, csv.Error) as error:
            yield _Record(line, offset, {}, str(error))
            if str(error) == _TOO_LONG:  # what follows is the rest of the line
                return


def _values(content: str | list[str], header: list[str]) -> dict[str, Any]:
    if isinstance(content, list):
        if len(content) > len(header):
            raise DataError(f"{len(content)} values, but the header names {len(header)} fields")
        texts = zip(header, content, strict=False)
        return from_csv({name: text for name, text in texts if text.strip()})
    values = parse_json(content)
    if not isinstance(values, dict):
        raise DataError(f"a row must be a JSON object, got {shortened(values)}")
    return values
