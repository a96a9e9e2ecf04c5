"""Join the results of a batch: one archive, one table, or a folder of PNG runs."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from maskcast.batch.layout import VIDEOS
from maskcast.batch.parquet_masks import write_mask_table
from maskcast.core.errors import DataError, MissingFileError, UsageError
from maskcast.core.files import path_inside, replacing
from maskcast.core.progress import Progress
from maskcast.io.label_maps import write_label_map
from maskcast.io.packed_masks import CLOSED_RLE, ZIP, open_packed_masks
from maskcast.runs.card import read_card
from maskcast.runs.layout import CARD, STATES

EARLIEST = 0
"""Time of all members of an archive, so that equal results give equal archives."""


def collect(output: Path, target: Path, *, progress: Progress | None = None) -> int:
    """Join the finished results of a batch, and return the number of videos.

    Args:
        output: the folder of the batch.
        target: ``NAME.tar`` gets the files as they are; ``NAME.parquet`` one row per frame with the
            run lengths of its objects; a new or empty folder one folder of PNG label maps per
            video.
        progress: called after every video.

    Raises:
        MissingFileError: nothing in the folder is finished.
        UsageError: the target exists, has an unknown extension, or needs a package that is missing.
        DataError: a result is damaged.
        OutputError: the target cannot be written.
    """
    runs = sorted(finished_runs(output))
    if not runs:
        raise MissingFileError(f"{output} has no finished videos", options=("output",))
    if target.suffix == ".tar":
        _write_archive(runs, output / VIDEOS, target, progress)
    elif target.suffix == ".parquet":
        write_mask_table(runs, output / VIDEOS, target, progress=progress)
    elif target.suffix:
        raise UsageError(
            f"choose a folder, a .tar or a .parquet file, got {target.name}", options=("output",)
        )
    else:
        _write_pictures(runs, output / VIDEOS, target, progress)
    return len(runs)


def finished_runs(output: Path) -> Iterator[Path]:
    """Yield the folders of finished videos."""
    for path in (output / VIDEOS).rglob(CARD):
        card = read_card(path.parent)
        if card is not None and card.status == "finished":
            yield path.parent


def _write_archive(runs: list[Path], top: Path, target: Path, progress: Progress | None) -> None:
    with replacing(target) as temporary, tarfile.open(temporary, "w") as archive:
        for number, run in enumerate(runs, 1):
            for path in sorted(run.rglob("*")):
                if path.is_file() and STATES not in path.relative_to(run).parts:
                    _add(archive, path.relative_to(top).as_posix(), path.read_bytes())
            if progress is not None:
                progress("videos", number, len(runs))


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(content), EARLIEST
    archive.addfile(member, io.BytesIO(content))


def _write_pictures(runs: list[Path], top: Path, target: Path, progress: Progress | None) -> None:
    if target.exists() and any(target.iterdir()):
        raise UsageError(f"{target} is not empty; choose another folder", options=("output",))
    for number, run in enumerate(runs, 1):
        folder = target / run.relative_to(top)
        packed = next((run / name for name in (CLOSED_RLE, ZIP) if (run / name).is_file()), None)
        if packed is not None:
            with closing(open_packed_masks(packed)) as masks:
                for name in masks.names:
                    write_label_map(path_inside(folder, name, ".png"), masks.read(name))
        else:
            for path in sorted(run.glob("*.png")):
                with replacing(folder / path.name) as temporary:
                    temporary.write_bytes(path.read_bytes())
        if not folder.is_dir():
            raise DataError(f"{run} has no masks")
        if progress is not None:
            progress("videos", number, len(runs))
