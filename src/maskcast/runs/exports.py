"""Make videos, cut-outs, run-length masks, tracks and a contact sheet from finished masks.

They are written to ``exports/`` in the run folder, in one pass over frames and masks. A file that
exists is complete, and is kept if it was made from these masks with these settings. An interrupted
pass therefore continues with what is missing. PNG sequences continue with the next picture and
videos with the next part (in ``.<video>.parts``); the other files are written from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache, partial
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from maskcast.core.arrays import LabelArray, Picture
from maskcast.core.errors import DataError
from maskcast.core.files import path_inside, replacing
from maskcast.core.overlap import read_ahead
from maskcast.core.palette import Colour
from maskcast.core.progress import Progress
from maskcast.io.video.formats import FORMATS
from maskcast.io.video.source import FrameSource
from maskcast.runs.export_record import ExportRecord, parts_of
from maskcast.runs.export_settings import Exports
from maskcast.runs.export_video import VideoOutput, video_file, video_output
from maskcast.runs.folder import RunFolder
from maskcast.runs.identity import digest_of
from maskcast.runs.layout import EXPORTS
from maskcast.runs.objects import ObjectLook, colours_of, names_of, read_objects
from maskcast.runs.removal import remove_folder
from maskcast.runs.tables import COLUMNS, AddFrame, rle_table, tracks_table
from maskcast.viz.contact_sheet import choose_frames, draw_contact_sheet
from maskcast.viz.overlay import cut_out, draw_overlay

__all__ = ["COLUMNS", "Exports", "export"]

Maker: TypeAlias = Callable[[Path], AbstractContextManager[tuple[int, AddFrame]]]
"""Begins a file; yields the first frame that it lacks and a function that adds frames to it."""

DRAWN = ("overlay.mp4", "contact_sheet.png")
"""Exports that show names and colours."""
VIDEOS = tuple(format_.suffix for format_ in FORMATS.values())
LARGEST_TILE = 640
"""Width in pixels of the pictures kept for the contact sheet."""


def export(
    run: RunFolder,
    frames: FrameSource,
    wanted: Exports,
    *,
    span: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Make the requested exports that do not exist yet; return the paths of all requested ones.

    The overlay and the contact sheet show the names and colours in ``objects.json``.

    Args:
        run: a run over ``frames`` that has masks for all exported frames.
        frames: the video that the masks belong to.
        wanted: the files to make.
        span: first frame to export, and the frame to stop before; None: all frames.
        progress: called after every finished frame.

    Raises:
        OutputError: a file cannot be written.
        FrameError, DataError: a frame, a mask or ``objects.json`` cannot be read.
        KeyboardInterrupt: the user interrupted; finished files stay.
    """
    first, last = span or (0, frames.count)
    part, looks = frames.part(first, last), read_objects(run.path)
    makers = _makers(run, part, wanted, looks, offset=first, progress=progress)
    record = ExportRecord(run.path / EXPORTS)
    for path in makers:
        looked = looks if path.name in DRAWN else {}
        record.begin(path, _digest(run, part, wanted, path, looks=looked, offset=first))
    missing = {p: maker for p, maker in makers.items() if not _is_made(p, part)}
    if missing:
        try:
            _make(missing, run, part, progress, offset=first)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(
                "interrupted; all masks are complete, run again to continue with the exports"
            ) from interrupt
    for path in makers:
        remove_folder(parts_of(path))
    return list(makers)


def _digest(
    run: RunFolder,
    part: FrameSource,
    wanted: Exports,
    path: Path,
    *,
    looks: Mapping[int, ObjectLook],
    offset: int,
) -> str:
    """Return the digest of the masks and settings that an export is made from."""
    is_video = path.suffix in VIDEOS
    rate = wanted.rate if is_video and part.timing is None and part.count > 1 else None
    settings: dict[str, Any] = {"rate": rate}
    if is_video and part.timing is not None:
        settings["sound"] = wanted.sound
    if offset:
        settings["from"] = offset
    if looks:
        settings["looks"] = {str(i): [look.name, look.colour] for i, look in looks.items()}
    return digest_of([run.identity.of_results(offset + part.count), settings])


def _make(
    missing: Mapping[Path, Maker],
    run: RunFolder,
    frames: FrameSource,
    progress: Progress | None,
    *,
    offset: int,
) -> None:
    """Make exports of frames that begin at frame ``offset`` of the run."""
    with ExitStack() as stack:
        adders = [stack.enter_context(maker(path)) for path, maker in missing.items()]
        begin = min(first for first, _ in adders)
        for frame_index, (picture, _) in enumerate(read_ahead(frames.pictures(begin)), begin):
            label_map = _label_map(run, offset + frame_index, frames.size)
            for first, add in adders:
                if frame_index >= first:
                    add(frame_index, picture, label_map)
            if progress is not None:
                progress("exports", frame_index + 1, frames.count)


def _label_map(run: RunFolder, frame_index: int, size: tuple[int, int]) -> LabelArray:
    label_map = run.masks.read(frame_index)
    if label_map.shape != size:
        raise DataError(
            f"{run.masks.path(frame_index)} is {label_map.shape[1]}×{label_map.shape[0]} but the "
            f"video is {size[1]}×{size[0]}; delete it to compute the frame again"
        )
    return label_map


def _makers(
    run: RunFolder,
    frames: FrameSource,
    wanted: Exports,
    looks: Mapping[int, ObjectLook],
    *,
    offset: int,
    progress: Progress | None,
) -> dict[Path, Maker]:
    folder = run.path / EXPORTS
    makers: dict[Path, Maker] = {}
    logged = run.found_objects() if wanted.rle or wanted.tracks else {}
    objects = {frame_index - offset: known for frame_index, known in logged.items()}
    absent = run.absent_objects() if wanted.overlay or wanted.contact_sheet else {}
    paint = partial(
        _paint,
        {frame_index - offset: ids for frame_index, ids in absent.items()},
        colours_of(looks),
        names_of(looks),
    )

    @cache
    def output() -> VideoOutput:
        return video_output(frames, rate=wanted.rate, sound=wanted.sound)

    if wanted.overlay:
        makers[folder / "overlay.mp4"] = partial(
            video_file, kind="h264", draw=paint, output=output(), progress=progress
        )
    for form in wanted.cutout:
        if form == "png":
            makers[folder / "cutout"] = partial(_pictures, names=frames.names)
        else:
            makers[folder / f"cutout{FORMATS[form].suffix}"] = partial(
                video_file, kind=form, draw=_cut_out, output=output(), progress=progress
            )
    if wanted.rle:
        makers[folder / "masks.json"] = partial(
            rle_table, video_id=_name_of(frames.path), first=frames.first, objects=objects
        )
    if wanted.tracks:
        makers[folder / "tracks.csv"] = partial(
            tracks_table, names=frames.names, first=frames.first, objects=objects
        )
    if wanted.contact_sheet:
        makers[folder / "contact_sheet.png"] = partial(
            _contact_sheet, names=frames.names, draw=paint
        )
    return makers


def _is_made(path: Path, frames: FrameSource) -> bool:
    if path.suffix:
        return path.is_file()
    return all((path / f"{name}.png").is_file() for name in frames.names)


def _paint(  # noqa: PLR0917 - the last three are those of a drawing function
    absent: Mapping[int, Sequence[int]],
    colours: Mapping[int, Colour],
    names: Mapping[int, str],
    frame_index: int,
    picture: Picture,
    label_map: LabelArray,
) -> Picture:
    shown = absent.get(frame_index, ())
    return draw_overlay(picture, label_map, absent=shown, colours=colours, names=names)


def _cut_out(
    frame_index: int, picture: Picture, label_map: LabelArray
) -> UInt8[np.ndarray, "height width 4"]:
    return cut_out(picture, label_map)


@contextmanager
def _pictures(path: Path, *, names: list[str]) -> Iterator[tuple[int, AddFrame]]:
    def add(frame_index: int, picture: Picture, label_map: LabelArray) -> None:
        target = path_inside(path, names[frame_index], ".png")
        if not target.is_file():
            with replacing(target) as temporary:
                Image.fromarray(cut_out(picture, label_map)).save(temporary, compress_level=4)

    there = (path_inside(path, name, ".png").is_file() for name in names)
    yield sum(1 for _ in takewhile(bool, there)), add


@contextmanager
def _contact_sheet(
    path: Path, *, names: list[str], draw: Callable[[int, Picture, LabelArray], Picture]
) -> Iterator[tuple[int, AddFrame]]:
    chosen = set(choose_frames(len(names)))
    tiles: list[tuple[str, Picture]] = []

    def add(frame_index: int, picture: Picture, label_map: LabelArray) -> None:
        if frame_index in chosen:
            tile = Image.fromarray(draw(frame_index, picture, label_map))
            tile.thumbnail((LARGEST_TILE, LARGEST_TILE * 4))
            tiles.append((names[frame_index], np.asarray(tile)))

    yield 0, add
    with replacing(path) as temporary:
        Image.fromarray(draw_contact_sheet(tiles)).save(temporary)


def _name_of(video: Path) -> str:
    named = video if video.name.strip(".") else video.resolve()  # "." and ".." are not names
    return named.name if named.is_dir() else named.stem
