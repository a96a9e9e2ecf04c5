"""Which videos and pictures show which objects, and how their files are named. Imports no torch.

The name of a file says which objects it shows and which settings differ from the defaults, so that
exports with different settings never replace each other: ``cutout-1-dog.mov``, ``matte-16bit``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from maskcast.core.errors import UsageError
from maskcast.io.video.formats import FORMATS, VideoKind
from maskcast.runs.export_settings import Effect, Exports

PictureForm: TypeAlias = Literal["png", "png16", "exr"]
RenderingKind: TypeAlias = Literal["cutout", "matte", "green-screen"] | Effect

_FOLDERS: Mapping[PictureForm, str] = {"png": "", "png16": "-16bit", "exr": "-exr"}
"""What the name of a folder of pictures ends with."""
_PICTURES: Mapping[str, PictureForm] = {"png": "png", "png16": "png16", "exr": "exr"}
_WITH_ALPHA: Mapping[str, VideoKind] = {"prores": "prores", "vp9": "vp9"}
_OPAQUE: Mapping[str, VideoKind] = {"h264": "h264", "prores": "prores_opaque", "ffv1": "ffv1"}
SILENT: tuple[RenderingKind, ...] = ("matte",)
"""Renderings without sound."""
LONGEST_SLUG = 40


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """A video or a folder of pictures that shows some objects."""

    name: str
    """Name of the file or folder."""
    kind: RenderingKind
    pictures: PictureForm | None = None
    """Form of the pictures; None for a video."""
    video: VideoKind | None = None
    """Kind of the video; None for pictures."""
    ids: tuple[int, ...] | None
    """The objects that it shows; None for all."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Everything but masks and frames that decides its content."""


def plan_renderings(
    wanted: Exports, known: Collection[int], names: Mapping[int, str], facts: SourceFacts
) -> list[Rendering]:
    """Return the videos and folders of pictures to make, in the order of the settings.

    Args:
        wanted: what was asked for.
        known: ids of the objects of the run.
        names: names of objects by id, which become part of file names.
        facts: what the source is.

    Raises:
        UsageError: an object is unknown.
    """
    if not wanted.has_renderings:
        return []
    groups = list(_groups(wanted, known, names))
    return [
        _rendering(chosen, group, wanted, facts) for chosen in _chosen(wanted) for group in groups
    ]


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """What decides which settings have an effect on videos."""

    is_folder: bool
    """Whether the source is a folder of frames, whose rate is a setting."""


def video_settings(wanted: Exports, facts: SourceFacts) -> dict[str, Any]:
    """Return the settings of every video that differ from the defaults."""
    if facts.is_folder:
        return {"rate": wanted.rate} if wanted.rate != Exports.rate else {}
    return {} if wanted.sound else {"sound": False}


def drawing_settings(wanted: Exports) -> dict[str, Any]:
    """Return the settings of overlay and contact sheet that differ from the defaults."""
    settings: dict[str, Any] = {} if wanted.labels == "object" else {"labels": wanted.labels}
    return settings | ({"outlines": True} if wanted.outlines else {})


def suffix_of(settings: Mapping[str, Any]) -> str:
    """Return what settings that differ from the defaults add to the name of a file."""
    return "".join(f"-{_word(name, value)}" for name, value in settings.items())


def _word(name: str, value: Any) -> str:
    words: dict[str, str] = {
        "rate": f"{value}fps".replace(".0fps", "fps"),
        "sound": "silent",
        "labels": "corner-labels" if value == "corner" else "no-labels",
        "outlines": "outlines",
        "start_number": f"from{value}",
        "edges": str(value),
        "fill_holes": f"fill{value}",
    }
    if name == "grow":
        return f"grow{value}" if value > 0 else f"shrink{-value}"
    return words.get(name, f"{name}{value}".removesuffix(".0"))


def _edge_settings(wanted: Exports) -> dict[str, Any]:
    usual = Exports()
    names = ("edges", "grow", "feather", "fill_holes")
    values = {name: getattr(wanted, name) for name in names}
    return {name: value for name, value in values.items() if value != getattr(usual, name)}


def _chosen(
    wanted: Exports,
) -> Iterator[tuple[RenderingKind, PictureForm | None, VideoKind | None]]:
    for cutout in dict.fromkeys(wanted.cutout):
        yield "cutout", _PICTURES.get(cutout), _WITH_ALPHA.get(cutout)
    for matte in dict.fromkeys(wanted.matte):
        yield "matte", _PICTURES.get(matte), _OPAQUE.get(matte)
    for screen in dict.fromkeys(wanted.green_screen):
        yield "green-screen", None, _OPAQUE[screen]
    for effect in dict.fromkeys(wanted.effect):
        yield effect, None, "h264"


def check_objects(wanted: Exports, known: Collection[int]) -> None:
    """Raise ``UsageError`` if an object that was chosen is unknown."""
    ids = [] if wanted.objects in (None, "all") else [*map(int, wanted.objects.split(","))]
    if unknown := [object_id for object_id in ids if object_id not in known]:
        shown = ", ".join(map(str, sorted(known))) or "none"
        raise UsageError(
            f"object {unknown[0]} does not exist; objects of this run: {shown}",
            options=("objects",),
        )


def _groups(
    wanted: Exports, known: Collection[int], names: Mapping[int, str]
) -> Iterator[tuple[str, tuple[int, ...] | None]]:
    """Yield what to add to file names, and the ids of the objects, for each file."""
    if wanted.objects is None:
        yield "", None
        return
    check_objects(wanted, known)
    ids = sorted(known) if wanted.objects == "all" else map(int, wanted.objects.split(","))
    chosen = tuple(dict.fromkeys(ids))
    if wanted.merged:
        part = "" if wanted.objects == "all" else f"-{'+'.join(map(str, chosen))}"
        yield part, None if wanted.objects == "all" else chosen
        return
    for object_id in chosen:
        slug = _slug(names.get(object_id, ""))
        yield f"-{object_id}{slug and '-'}{slug}", (object_id,)


def _slug(name: str) -> str:
    """Return a name with nothing but letters, digits, ``_`` and ``-``, for a file name."""
    plain = unicodedata.normalize("NFC", name)
    return re.sub(r"[^\w-]+", "_", plain)[:LONGEST_SLUG].strip("_-")


def _rendering(
    chosen: tuple[RenderingKind, PictureForm | None, VideoKind | None],
    group: tuple[str, tuple[int, ...] | None],
    wanted: Exports,
    facts: SourceFacts,
) -> Rendering:
    (kind, pictures, video), (part, ids) = chosen, group
    settings = _edge_settings(wanted)
    if video is not None:
        settings |= video_settings(wanted, facts)
        if kind in SILENT:
            settings.pop("sound", None)
    elif wanted.start_number is not None:
        settings["start_number"] = wanted.start_number
    form = "" if pictures is None else _FOLDERS[pictures]
    end = "" if video is None else FORMATS[video].suffix
    return Rendering(
        name=f"{kind}{part}{form}{suffix_of(settings)}{end}",
        kind=kind,
        pictures=pictures,
        video=video,
        ids=ids,
        settings=settings,
    )
