"""Make videos, cut-outs, run-length masks, tracks and a contact sheet from finished masks.

They are written to ``exports/`` in the run folder, in one pass over frames and masks. A file that
exists is complete, and is kept if it was made from these masks with these settings. An interrupted
pass therefore continues with what is missing. PNG sequences continue with the next picture and
videos with the next part (in ``.<video>.parts``); the other files are written from the start.
Settings other than the defaults are part of the name of a file, so that they make another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskcast.core.arrays import LabelArray, Picture
from maskcast.core.errors import DataError
from maskcast.core.files import replacing
from maskcast.core.overlap import read_ahead
from maskcast.core.progress import Progress
from maskcast.io.video.source import FrameSource
from maskcast.runs.annotations import ANNOTATION_FORMATS, annotation_maker
from maskcast.runs.export_plan import (
    SourceFacts,
    drawing_settings,
    plan_renderings,
    suffix_of,
    video_settings,
)
from maskcast.runs.export_record import ExportRecord, parts_of
from maskcast.runs.export_settings import Exports
from maskcast.runs.export_video import VideoOutput, video_file, video_output
from maskcast.runs.folder import RunFolder
from maskcast.runs.identity import digest_of
from maskcast.runs.layout import EXPORTS
from maskcast.runs.mattes import Mattes
from maskcast.runs.new_objects import begun_by_themselves
from maskcast.runs.objects import ObjectLook, colours_of, names_of, read_objects
from maskcast.runs.removal import remove_folder
from maskcast.runs.renderings import RenderingSource, is_complete, maker_of
from maskcast.runs.tables import COLUMNS, AddFrame, Maker, rle_table, tracks_table
from maskcast.viz.contact_sheet import choose_frames, draw_contact_sheet
from maskcast.viz.edges import EdgeSettings
from maskcast.viz.overlay import TINT, distinct_colours, draw_overlay

__all__ = ["COLUMNS", "Exports", "export"]

LARGEST_TILE = 640
"""Width in pixels of the pictures kept for the contact sheet."""


@dataclass(frozen=True, kw_only=True)
class _Planned:
    """One file or folder to make."""

    path: Path
    maker: Maker
    is_made: Callable[[], bool]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Everything but masks and frames that decides its content."""
    draws_looks: bool = False
    """Whether it shows names and colours."""


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
    planned = _plan(run, part, wanted, looks, offset=first, progress=progress)
    record = ExportRecord(run.path / EXPORTS)
    for export_file in planned:
        looked = looks if export_file.draws_looks else {}
        digest = _digest(run, part, export_file.settings, looks=looked, offset=first)
        record.begin(export_file.path, digest, export_file.settings)
    missing = {
        export_file.path: export_file.maker for export_file in planned if not export_file.is_made()
    }
    if missing:
        try:
            _make(missing, run, part, progress, offset=first)
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(
                "interrupted; all masks are complete, run again to continue with the exports"
            ) from interrupt
    for export_file in planned:
        remove_folder(parts_of(export_file.path))
    return [export_file.path for export_file in planned]


def _digest(
    run: RunFolder,
    part: FrameSource,
    settings: Mapping[str, Any],
    *,
    looks: Mapping[int, ObjectLook],
    offset: int,
) -> str:
    """Return the digest of the masks and settings that an export is made from."""
    decisive: dict[str, Any] = {"version": 2, **settings}
    if offset:
        decisive["from"] = offset
    if looks:
        decisive["looks"] = {str(i): [look.name, look.colour] for i, look in looks.items()}
    return digest_of([run.identity.of_results(offset + part.count), decisive])


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


def _plan(
    run: RunFolder,
    frames: FrameSource,
    wanted: Exports,
    looks: Mapping[int, ObjectLook],
    *,
    offset: int,
    progress: Progress | None,
) -> list[_Planned]:
    """Return what to make, in the order of the settings."""

    @cache
    def video() -> VideoOutput:
        return video_output(frames, rate=wanted.rate, sound=wanted.sound)

    return [
        *_overlays(run, frames, wanted, looks, offset=offset, video=video, progress=progress),
        *_renderings(run, frames, wanted, looks, offset=offset, video=video, progress=progress),
        *_tables(run, frames, wanted, offset=offset),
        *_annotations(run, frames, wanted, looks, offset=offset),
        *_sheets(run, frames, wanted, looks, offset=offset),
    ]


def _painter(
    run: RunFolder, wanted: Exports, looks: Mapping[int, ObjectLook], *, offset: int
) -> Callable[[int, Picture, LabelArray], Picture]:
    absent = {frame_index - offset: ids for frame_index, ids in run.absent_objects().items()}
    colours = distinct_colours(run.card.request.first_prompts(), colours_of(looks))

    def paint(frame_index: int, picture: Picture, label_map: LabelArray) -> Picture:
        return draw_overlay(
            picture,
            label_map,
            absent=() if wanted.labels == "off" else absent.get(frame_index, ()),
            tint=0 if wanted.outlines else TINT,
            ids=wanted.labels == "object",
            listed=wanted.labels == "corner",
            colours=colours,
            names=names_of(looks),
        )

    return paint


def _overlays(
    run: RunFolder,
    frames: FrameSource,
    wanted: Exports,
    looks: Mapping[int, ObjectLook],
    *,
    offset: int,
    video: Callable[[], VideoOutput],
    progress: Progress | None,
) -> Iterator[_Planned]:
    if not wanted.overlay:
        return
    drawing = drawing_settings(wanted)
    settings = drawing | video_settings(wanted, SourceFacts(is_folder=frames.timing is None))
    path = run.path / EXPORTS / f"overlay{suffix_of(settings)}.mp4"

    @contextmanager
    def maker(path: Path) -> Iterator[tuple[int, AddFrame]]:
        draw = _painter(run, wanted, looks, offset=offset)
        with video_file(path, kind="h264", draw=draw, output=video(), progress=progress) as begun:
            yield begun

    yield _Planned(
        path=path, maker=maker, is_made=path.is_file, settings=settings, draws_looks=True
    )


def _renderings(
    run: RunFolder,
    frames: FrameSource,
    wanted: Exports,
    looks: Mapping[int, ObjectLook],
    *,
    offset: int,
    video: Callable[[], VideoOutput],
    progress: Progress | None,
) -> Iterator[_Planned]:
    if not wanted.has_renderings:
        return
    facts = SourceFacts(is_folder=frames.timing is None)
    begun = begun_by_themselves(run.path)
    known = {*run.card.request.first_prompts(), *(i for ids in begun.values() for i in ids)}
    source = RenderingSource(
        names=frames.names,
        mattes=Mattes(run, _edges(wanted), offset=offset),
        video=video,
        icc_profile=frames.icc_profile if "png" in wanted.cutout else None,
        progress=progress,
    )
    for rendering in plan_renderings(wanted, known, names_of(looks), facts):
        path = run.path / EXPORTS / rendering.name
        yield _Planned(
            path=path,
            maker=maker_of(rendering, source),
            is_made=partial(is_complete, path, rendering, frames.names),
            settings=rendering.settings,
        )


def _edges(wanted: Exports) -> EdgeSettings:
    return EdgeSettings(
        kind=wanted.edges,
        grow=wanted.grow,
        feather=wanted.feather,
        fill_holes=wanted.fill_holes,
    )


def _tables(
    run: RunFolder, frames: FrameSource, wanted: Exports, *, offset: int
) -> Iterator[_Planned]:
    folder = run.path / EXPORTS
    logged = run.found_objects() if wanted.rle or wanted.tracks else {}
    objects = {frame_index - offset: known for frame_index, known in logged.items()}
    if wanted.rle:
        maker = partial(
            rle_table, video_id=_name_of(frames.path), first=frames.first, objects=objects
        )
        path = folder / "masks.json"
        yield _Planned(path=path, maker=maker, is_made=path.is_file)
    if wanted.tracks:
        maker = partial(tracks_table, names=frames.names, first=frames.first, objects=objects)
        path = folder / "tracks.csv"
        yield _Planned(path=path, maker=maker, is_made=path.is_file)


def _annotations(
    run: RunFolder,
    frames: FrameSource,
    wanted: Exports,
    looks: Mapping[int, ObjectLook],
    *,
    offset: int,
) -> Iterator[_Planned]:
    logged = run.found_objects() if wanted.annotations else {}
    objects = {i - offset: known for i, known in logged.items() if 0 <= i - offset < frames.count}
    for form in wanted.annotations:
        kind = ANNOTATION_FORMATS[form]
        path = run.path / EXPORTS / kind.name
        maker = annotation_maker(
            kind, frames, name=_name_of(frames.path), objects=objects, names=names_of(looks)
        )
        is_made = (path / (kind.last or "")).is_file
        yield _Planned(path=path, maker=maker, is_made=is_made, draws_looks=True)


def _sheets(
    run: RunFolder,
    frames: FrameSource,
    wanted: Exports,
    looks: Mapping[int, ObjectLook],
    *,
    offset: int,
) -> Iterator[_Planned]:
    if wanted.contact_sheet:
        settings = drawing_settings(wanted)
        path = run.path / EXPORTS / f"contact_sheet{suffix_of(settings)}.png"
        draw = _painter(run, wanted, looks, offset=offset)
        maker = partial(_contact_sheet, names=frames.names, draw=draw)
        yield _Planned(
            path=path, maker=maker, is_made=path.is_file, settings=settings, draws_looks=True
        )


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
