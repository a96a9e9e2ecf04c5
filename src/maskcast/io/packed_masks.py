"""Store the label maps of a whole video in one file.

``masks.jsonl``, or ``masks.jsonl.gz`` once a run is finished: one line per frame
(``io.mask_lines``). If a frame has several lines, the last one counts. Incomplete lines are
skipped.

``masks.zip``: one PNG per frame, ``NAME.png``, stored uncompressed.

Both formats are read one frame at a time. Files are untrusted, and everything is checked.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from maskcast.core.arrays import LabelArray
from maskcast.core.errors import DataError, MissingFileError
from maskcast.core.files import path_inside, replacing
from maskcast.io.archives import EARLIEST, LARGEST_ARCHIVE, open_zip, read_member, zip_faults
from maskcast.io.label_maps import decode_label_map
from maskcast.io.mask_lines import LARGEST_LINE, PackedFrame, RemovedFrame, parse_line

OPEN_RLE, CLOSED_RLE, ZIP = "masks.jsonl", "masks.jsonl.gz", "masks.zip"
PACKED_NAMES = (OPEN_RLE, CLOSED_RLE, ZIP)
"""File names in a run folder; if there are several, the first one counts."""

MOST_FRAMES = 2**22
"""Maximum number of frames in a file."""
MOST_LINES = 2**24
"""Maximum number of lines in a file."""


@runtime_checkable
class PackedMasks(Protocol):
    """The label maps in one file, by frame name."""

    @property
    def names(self) -> Collection[str]:
        """Names of the frames, in order."""
        ...

    def read(self, name: str, size: tuple[int, int] | None = None) -> LabelArray:
        """Return the label map of a frame.

        Args:
            name: one of ``names``.
            size: expected height and width; another size is rejected before decoding.

        Raises:
            DataError: the label map is damaged or has another size.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def open_packed_masks(
    source: Path | bytes, shown: str = "", *, names: Collection[str] | None = None
) -> PackedMasks:
    """Open a file of masks; its format is detected from its content.

    Args:
        source: the file, or its content if it is a member of an archive.
        shown: name of the file in messages; default: its path.
        names: frames to index; others are skipped. This limits the memory for the index.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the file is damaged, malicious, or has another format.
    """
    shown = shown or str(source)
    if isinstance(source, Path) and not source.is_file():
        raise MissingFileError(f"{source} does not exist")
    with ExitStack() as on_failure:
        with _reading(shown):
            stream = source.open("rb") if isinstance(source, Path) else io.BytesIO(source)
            on_failure.callback(stream.close)
            start = stream.read(2)
            stream.seek(0)
        if start == b"PK":
            masks: PackedMasks = _ZipMasks(stream, shown, names)
        else:
            masks = _rle_file(stream, shown, names, is_packed=start == b"\x1f\x8b")
        on_failure.pop_all()
    return masks


def open_rle(path: Path) -> RleFile:
    """Open ``masks.jsonl`` or ``masks.jsonl.gz`` of a run, which may have no frames yet.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the file is damaged.
    """
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist")
    with _reading(str(path)), ExitStack() as on_failure:
        stream = on_failure.enter_context(path.open("rb"))
        file = RleFile(stream, str(path), is_packed=path.suffix == ".gz")
        on_failure.pop_all()
    return file


def _rle_file(
    stream: io.BufferedIOBase, shown: str, names: Collection[str] | None, *, is_packed: bool
) -> RleFile:
    masks = RleFile(stream, shown, names=names, is_packed=is_packed)
    if not masks.frames and masks.first_fault:
        raise DataError(f"{shown} is not a file of masks: {masks.first_fault}")
    return masks


class RleFile:
    """The frames of ``masks.jsonl`` or ``masks.jsonl.gz``, with an index of their lines.

    Args:
        stream: the file, opened for reading; ``close`` closes it.
        shown: name of the file in messages.
        names: frames to index; None indexes all.
        is_packed: whether the file is compressed with gzip.
    """

    def __init__(
        self,
        stream: io.BufferedIOBase,
        shown: str,
        *,
        names: Collection[str] | None = None,
        is_packed: bool = False,
    ) -> None:
        self.first_fault = ""
        """Reason why the first unreadable line was skipped; empty if there is none."""
        self._source = stream
        self._stream = gzip.GzipFile(fileobj=stream) if is_packed else stream
        self._shown = shown
        self._offsets: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._by_name: dict[str, int] | None = None
        with _reading(shown):
            self._scan(names)

    @property
    def frames(self) -> Collection[int]:
        """Indices of the frames."""
        return self._offsets.keys()

    @property
    def names(self) -> Collection[str]:
        if self._by_name is None:
            self._by_name = {self._names[frame]: frame for frame in sorted(self._names)}
        return self._by_name.keys()

    def read(self, name: str, size: tuple[int, int] | None = None) -> LabelArray:
        if name not in self.names or self._by_name is None:
            raise MissingFileError(f"{self._shown} has no frame {name}")
        return self.read_frame(self._by_name[name], size)

    def read_frame(self, frame: int, size: tuple[int, int] | None = None) -> LabelArray:
        """Return the label map of a frame by its index; raises ``DataError`` like ``read``."""
        where = f"{self._shown}, frame {frame}"
        masks = parse_line(self.line(frame))
        if not isinstance(masks, PackedFrame) or masks.frame != frame:
            raise DataError(f"{where} changed while it was read")
        if size is not None and masks.size != size:
            raise DataError(
                f"{where} is {masks.size[0]}×{masks.size[1]}, but the video is {size[0]}×{size[1]}"
            )
        try:
            return masks.label_map()
        except DataError as error:
            raise DataError(f"{where}: {error}") from error

    def line(self, frame: int) -> bytes:
        """Return the line of a frame, with its line break. Raises ``DataError``."""
        with _reading(self._shown):
            self._stream.seek(self._offsets[frame])
            return self._stream.readline(LARGEST_LINE).rstrip(b"\n") + b"\n"

    def note(self, added: PackedFrame | RemovedFrame, offset: int) -> None:
        """Add a line that was appended to the file to the index."""
        self._offsets.pop(added.frame, None)
        self._names.pop(added.frame, None)
        self._by_name = None
        if isinstance(added, PackedFrame):
            self._offsets[added.frame] = offset
            self._names[added.frame] = added.name

    def close(self) -> None:
        self._stream.close()
        self._source.close()

    def _scan(self, names: Collection[str] | None) -> None:
        for offset, line in _lines(self._stream, self._shown):
            if line.isspace():
                continue
            try:
                parsed = parse_line(line)
            except DataError as error:
                self.first_fault = self.first_fault or str(error)
                continue
            is_wanted = names is None or isinstance(parsed, RemovedFrame) or parsed.name in names
            self.note(parsed if is_wanted else RemovedFrame(parsed.frame), offset)
            if len(self._offsets) > MOST_FRAMES:
                raise DataError(f"{self._shown} has more than {MOST_FRAMES} frames")


class _ZipMasks:
    def __init__(
        self, stream: io.BufferedIOBase, shown: str, names: Collection[str] | None
    ) -> None:
        self._source = stream
        self._shown = shown
        self._archive = open_zip(stream, shown)
        faults = zip_faults(self._archive)
        if faults:
            raise DataError.listing(f"{shown} is not a safe archive", faults)
        members = [member.filename for member in self._archive.infolist()]
        stems = [name.removesuffix(".png") for name in members if name.endswith(".png")]
        flat = [stem for stem in stems if "/" not in stem]
        self.names: Collection[str] = [s for s in flat if names is None or s in names]

    def read(self, name: str, size: tuple[int, int] | None = None) -> LabelArray:
        member = f"{name}.png"
        shown = f"{self._shown}:{member}"
        return decode_label_map(read_member(self._archive, member, shown), shown, size)

    def close(self) -> None:
        self._archive.close()
        self._source.close()


def pack_rle(source: RleFile, target: Path) -> None:
    """Write the frames in order as ``masks.jsonl.gz``; the same frames give the same bytes.

    Raises:
        DataError: the source cannot be read.
        OutputError: the target cannot be written.
    """
    with (
        replacing(target, sync=True) as temporary,
        temporary.open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=6) as packed,
    ):
        for frame in sorted(source.frames):
            packed.write(source.line(frame))


def unpack_rle(source: Path, target: Path) -> None:
    """Write ``masks.jsonl.gz`` as ``masks.jsonl``.

    Raises:
        DataError: the source is damaged.
        OutputError: the target cannot be written.
    """
    with (
        replacing(target, sync=True) as temporary,
        temporary.open("wb") as file,
        closing(open_rle(source)) as packed,
    ):
        for frame in packed.frames:
            file.write(packed.line(frame))


def write_mask_zip(path: Path, frames: Iterable[tuple[str, bytes]]) -> None:
    """Write ``masks.zip``; the same frames give the same bytes.

    Args:
        path: the archive, which is written atomically.
        frames: name and PNG content of each frame.

    Raises:
        DataError: a name is not a valid file name.
        OutputError: the archive cannot be written.
    """
    with replacing(path, sync=True) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in frames:
            member = path_inside(path.parent, name, ".png").name
            if ":" in member:
                raise DataError(f"frame names in an archive must not contain a colon, got {name!r}")
            archive.writestr(zipfile.ZipInfo(member, EARLIEST), content)


def describe_packed_masks(path: Path) -> list[str]:
    """Return one line of text per frame of a file of masks: size, ids, pixels per id."""
    lines = []
    with closing(open_packed_masks(path)) as masks:
        kind = "PNG" if isinstance(masks, _ZipMasks) else "RLE"
        for name in masks.names:
            label_map = masks.read(name)
            ids, areas = np.unique(label_map[label_map > 0], return_counts=True)
            shown = [f"{i} ({area} pixels)" for i, area in zip(ids, areas, strict=True)]
            what = ("id " if len(shown) == 1 else "ids ") + ", ".join(shown)
            height, width = label_map.shape
            lines.append(f"{name}: {kind}, {width}×{height}, {what if shown else 'no objects'}")
    return lines


def _lines(stream: io.BufferedIOBase, shown: str) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its offset."""
    offset = 0
    for number in count():
        line = stream.readline(LARGEST_LINE + 1)
        if not line:
            return
        if len(line) > LARGEST_LINE or offset > LARGEST_ARCHIVE or number >= MOST_LINES:
            raise DataError(f"{shown} was rejected: too many lines, or a line that is too long")
        yield offset, line
        offset += len(line)


@contextmanager
def _reading(shown: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot read {shown}: {reason}") from error
