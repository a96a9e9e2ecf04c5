"""Write the masks of many videos as one Parquet table. Needs the extra ``parquet``.

One row per frame, in the order of the videos: ``id`` (of the video), ``frame`` (index from 0),
``name``, ``height``, ``width``, and ``objects``, a list of ``id``, ``counts`` (COCO's compressed
run lengths), ``area`` in pixels and ``confidence``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from maskcast.core.errors import UsageError
from maskcast.core.extras import how_to_install
from maskcast.core.files import replacing
from maskcast.core.progress import Progress
from maskcast.io.label_maps import read_label_map
from maskcast.io.mask_lines import PackedFrame, pack_frame, parse_line
from maskcast.io.packed_masks import CLOSED_RLE, ZIP, open_packed_masks, open_rle
from maskcast.runs.frame_log import FrameLog
from maskcast.runs.layout import FRAME_LOG

FRAMES_AT_ONCE = 5_000
"""Number of frames that are compressed together."""


def write_mask_table(
    runs: Sequence[Path], top: Path, target: Path, *, progress: Progress | None = None
) -> None:
    """Write the masks of finished runs.

    Args:
        runs: the run folders.
        top: folder that holds them; the id of a video is its path inside.
        target: the table, which is written atomically.
        progress: called after every video.

    Raises:
        UsageError: the package for Parquet files is not installed.
        DataError: a result is damaged.
        OutputError: the target cannot be written.
    """
    arrow, parquet = _modules()
    schema = _schema(arrow)
    with (
        replacing(target) as temporary,
        parquet.ParquetWriter(temporary, schema, compression="zstd", compression_level=9) as writer,
    ):
        rows: list[dict[str, Any]] = []
        for number, run in enumerate(runs, 1):
            name = run.relative_to(top).as_posix()
            for frame in packed_frames(run):
                rows.append(_row(name, frame))
                if len(rows) == FRAMES_AT_ONCE:
                    writer.write_table(arrow.Table.from_pylist(rows, schema))
                    rows.clear()
            if progress is not None:
                progress("videos", number, len(runs))
        writer.write_table(arrow.Table.from_pylist(rows, schema))


def packed_frames(run: Path) -> Iterator[PackedFrame]:
    """Yield the masks of a finished run in order, whatever its form.

    Raises:
        DataError: a mask is damaged or missing.
    """
    if (run / CLOSED_RLE).is_file():
        with closing(open_rle(run / CLOSED_RLE)) as lines:
            for index in sorted(lines.frames):
                frame = parse_line(lines.line(index))
                if isinstance(frame, PackedFrame):
                    yield frame
        return
    archive = open_packed_masks(run / ZIP) if (run / ZIP).is_file() else None
    try:
        for index, entry in sorted(FrameLog(run / FRAME_LOG).by_frame().items()):
            name = entry.mask.removesuffix(".png")
            path = run / f"{name}.png"
            label_map = read_label_map(path) if archive is None else archive.read(name)
            confidences = {i: known.confidence for i, known in entry.objects.items()}
            yield pack_frame(index, name, label_map, confidences)
    finally:
        if archive is not None:
            archive.close()


def _row(name: str, frame: PackedFrame) -> dict[str, Any]:
    height, width = frame.size
    objects = [
        {"id": i, "counts": o.counts, "area": o.area, "confidence": o.confidence}
        for i, o in frame.objects.items()
    ]
    entries = {"id": name, "frame": frame.frame, "name": frame.name}
    return entries | {"height": height, "width": width, "objects": objects}


def _schema(arrow: Any) -> Any:
    text, whole, real = arrow.string(), arrow.int64(), arrow.float64()
    entry = [("id", whole), ("counts", text), ("area", whole), ("confidence", real)]
    return arrow.schema(
        [
            *(("id", text), ("frame", whole), ("name", text)),
            *(("height", whole), ("width", whole), ("objects", arrow.list_(arrow.struct(entry)))),
        ]
    )


def _modules() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise UsageError(
            f"Parquet files need pyarrow: {how_to_install('parquet')}", options=("output",)
        ) from error
