"""Write the videos and folders of pictures that show some objects (``export_plan``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from maskcast.core.arrays import LabelArray, Picture
from maskcast.core.files import path_inside, replacing
from maskcast.core.progress import Progress
from maskcast.io.exr import write_exr
from maskcast.io.video.formats import VideoKind
from maskcast.runs.export_plan import SILENT, PictureForm, Rendering
from maskcast.runs.export_video import VideoOutput, video_file
from maskcast.runs.mattes import Matte, Mattes
from maskcast.runs.tables import AddFrame, Maker
from maskcast.viz.cut_outs import cut_out, in_8_bits, in_16_bits, linear_light, on_green
from maskcast.viz.effects import Hiding, hide

SUFFIXES: dict[PictureForm, str] = {"png": ".png", "png16": ".png", "exr": ".exr"}
FEWEST_DIGITS = 4
"""Digits of the numbers of pictures that are numbered from a start number, at least."""


@dataclass(frozen=True, kw_only=True)
class RenderingSource:
    """What all renderings of one pass share."""

    names: Sequence[str]
    """Names of the frames."""
    mattes: Mattes
    video: Callable[[], VideoOutput]
    """Times, tags and sound of the videos."""
    icc_profile: bytes | None
    """Colour profile of the source, if it consists of pictures that have one."""
    progress: Progress | None


def picture_names(rendering: Rendering, names: Sequence[str]) -> list[str]:
    """Return the file names of the pictures of a folder, without suffix."""
    start = rendering.settings.get("start_number")
    if start is None:
        return list(names)
    digits = max(FEWEST_DIGITS, len(str(start + len(names) - 1)))
    return [f"{start + index:0{digits}d}" for index in range(len(names))]


def is_complete(path: Path, rendering: Rendering, names: Sequence[str]) -> bool:
    """Return whether a rendering has been made: its video, or all its pictures exist."""
    if rendering.pictures is None:
        return path.is_file()
    suffix = SUFFIXES[rendering.pictures]
    return all((path / f"{name}{suffix}").is_file() for name in picture_names(rendering, names))


def maker_of(rendering: Rendering, source: RenderingSource) -> Maker:
    """Return the function that begins or continues a rendering."""
    if rendering.pictures is not None:
        return partial(_pictures, rendering=rendering, form=rendering.pictures, source=source)
    assert rendering.video is not None
    return partial(_video, rendering=rendering, kind=rendering.video, source=source)


@contextmanager
def _video(
    path: Path, *, rendering: Rendering, kind: VideoKind, source: RenderingSource
) -> Iterator[tuple[int, AddFrame]]:
    def draw(frame_index: int, picture: Picture, label_map: LabelArray) -> Any:
        matte = source.mattes.of(frame_index, picture, label_map, rendering.ids)
        return _drawn(rendering, picture, matte)

    with video_file(
        path,
        kind=kind,
        draw=draw,
        output=source.video(),
        with_sound=rendering.kind not in SILENT,
        progress=source.progress,
    ) as begun:
        yield begun


def _drawn(rendering: Rendering, picture: Picture, matte: Matte) -> Any:
    match rendering.kind:
        case "cutout" if matte.is_hard:
            return cut_out(matte.colours, matte.alpha)
        case "cutout":
            return np.dstack([matte.colours, in_8_bits(matte.alpha)])
        case "matte" if rendering.video in ("ffv1", "prores_opaque"):
            return in_16_bits(matte.alpha)
        case "matte":
            return np.repeat(in_8_bits(matte.alpha)[..., None], 3, axis=2)
        case "green-screen":
            return on_green(matte.colours, matte.alpha)
    how, _, region = rendering.kind.partition("-")
    return hide(picture, matte.alpha, cast(Hiding, how), background=region == "background")


@contextmanager
def _pictures(
    path: Path, *, rendering: Rendering, form: PictureForm, source: RenderingSource
) -> Iterator[tuple[int, AddFrame]]:
    targets = [
        path_inside(path, name, SUFFIXES[form]) for name in picture_names(rendering, source.names)
    ]

    def add(frame_index: int, picture: Picture, label_map: LabelArray) -> None:
        if not targets[frame_index].is_file():
            matte = source.mattes.of(frame_index, picture, label_map, rendering.ids)
            _write_picture(targets[frame_index], form, rendering, matte, source)

    yield sum(1 for _ in takewhile(Path.is_file, targets)), add


def _write_picture(
    path: Path, form: PictureForm, rendering: Rendering, matte: Matte, source: RenderingSource
) -> None:
    if form == "exr":
        straight = linear_light(cut_out(matte.colours, matte.alpha), matte.alpha)
        write_exr(path, straight, pixel_aspect=source.video().tags.pixel_aspect)
        return
    profile = {}
    if rendering.kind == "cutout":
        pixels: Any = cut_out(matte.colours, matte.alpha)
        profile = {} if source.icc_profile is None else {"icc_profile": source.icc_profile}
    else:
        pixels = in_8_bits(matte.alpha) if form == "png" else in_16_bits(matte.alpha)
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", compress_level=4, **profile)
