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
from functools import cached_property, partial
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
from maskcast.runs.masks import FoundObject
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
    planner = _Planner(
        run=run, frames=part, wanted=wanted, looks=looks, offset=first, progress=progress
    )
    planned = planner.plan()
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


@dataclass(frozen=True, kw_only=True)
class _Planner:
    """Says what to make of a run, or of a part of it."""

    run: RunFolder
    frames: FrameSource
    """The frames to export."""
    wanted: Exports
    looks: Mapping[int, ObjectLook]
    offset: int
    """Number of the first of these frames in the run."""
    progress: Progress | None

    def plan(self) -> list[_Planned]:
        """Return the files to make, in the order of the settings."""
        return [
            *self._overlays(),
            *self._renderings(),
            *self._tables(),
            *self._annotations(),
            *self._sheets(),
        ]

    @cached_property
    def _video(self) -> VideoOutput:
        return video_output(self.frames, rate=self.wanted.rate, sound=self.wanted.sound)

    @property
    def _facts(self) -> SourceFacts:
        return SourceFacts(is_folder=self.frames.timing is None)

    def _painter(self) -> Callable[[int, Picture, LabelArray], Picture]:
        run, wanted, names = self.run, self.wanted, names_of(self.looks)
        absent = {index - self.offset: ids for index, ids in run.absent_objects().items()}
        colours = distinct_colours(run.card.request.first_prompts(), colours_of(self.looks))

        def paint(frame_index: int, picture: Picture, label_map: LabelArray) -> Picture:
            return draw_overlay(
                picture,
                label_map,
                absent=() if wanted.labels == "off" else absent.get(frame_index, ()),
                tint=0 if wanted.outlines else TINT,
                ids=wanted.labels == "object",
                listed=wanted.labels == "corner",
                colours=colours,
                names=names,
            )

        return paint

    def _objects(self) -> dict[int, Mapping[int, FoundObject]]:
        """Return what was found, by index of the exported frames."""
        return {index - self.offset: known for index, known in self.run.found_objects().items()}

    def _overlays(self) -> Iterator[_Planned]:
        if not self.wanted.overlay:
            return
        settings = drawing_settings(self.wanted) | video_settings(self.wanted, self._facts)
        path = self.run.path / EXPORTS / f"overlay{suffix_of(settings)}.mp4"

        @contextmanager
        def maker(path: Path) -> Iterator[tuple[int, AddFrame]]:
            draw, output = self._painter(), self._video
            with video_file(
                path, kind="h264", draw=draw, output=output, progress=self.progress
            ) as begun:
                yield begun

        yield _Planned(
            path=path, maker=maker, is_made=path.is_file, settings=settings, draws_looks=True
        )

    def _renderings(self) -> Iterator[_Planned]:
        wanted, frames = self.wanted, self.frames
        if not wanted.has_renderings:
            return
        begun = begun_by_themselves(self.run.path)
        first_prompts = self.run.card.request.first_prompts()
        known = {*first_prompts, *(i for ids in begun.values() for i in ids)}
        source = RenderingSource(
            names=frames.names,
            mattes=Mattes(self.run, _edges(wanted), offset=self.offset),
            video=lambda: self._video,
            icc_profile=frames.icc_profile if "png" in wanted.cutout else None,
            progress=self.progress,
        )
        for rendering in plan_renderings(wanted, known, names_of(self.looks), self._facts):
            path = self.run.path / EXPORTS / rendering.name
            yield _Planned(
                path=path,
                maker=maker_of(rendering, source),
                is_made=partial(is_complete, path, rendering, frames.names),
                settings=rendering.settings,
            )

    def _tables(self) -> Iterator[_Planned]:
        folder, frames = self.run.path / EXPORTS, self.frames
        if self.wanted.rle:
            video_id, objects = _name_of(frames.path), self._objects()
            maker = partial(rle_table, video_id=video_id, first=frames.first, objects=objects)
            path = folder / "masks.json"
            yield _Planned(path=path, maker=maker, is_made=path.is_file)
        if self.wanted.tracks:
            names, objects = frames.names, self._objects()
            maker = partial(tracks_table, names=names, first=frames.first, objects=objects)
            path = folder / "tracks.csv"
            yield _Planned(path=path, maker=maker, is_made=path.is_file)

    def _annotations(self) -> Iterator[_Planned]:
        if not self.wanted.annotations:
            return
        frames, names = self.frames, names_of(self.looks)
        objects = {i: known for i, known in self._objects().items() if 0 <= i < frames.count}
        for form in self.wanted.annotations:
            kind = ANNOTATION_FORMATS[form]
            path = self.run.path / EXPORTS / kind.name
            maker = annotation_maker(
                kind, frames, name=_name_of(frames.path), objects=objects, names=names
            )
            is_made = (path / (kind.last or "")).is_file
            yield _Planned(path=path, maker=maker, is_made=is_made, draws_looks=True)

    def _sheets(self) -> Iterator[_Planned]:
        if not self.wanted.contact_sheet:
            return
        settings = drawing_settings(self.wanted)
        path = self.run.path / EXPORTS / f"contact_sheet{suffix_of(settings)}.png"
        maker = partial(_contact_sheet, names=self.frames.names, draw=self._painter())
        yield _Planned(
            path=path, maker=maker, is_made=path.is_file, settings=settings, draws_looks=True
        )


def _edges(wanted: Exports) -> EdgeSettings:
    return EdgeSettings(
        kind=wanted.edges,
        grow=wanted.grow,
        feather=wanted.feather,
        fill_holes=wanted.fill_holes,
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
