"""Settings that choose the files made from finished masks. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from tyro.conf import arg

from maskcast.core.config import require_choice, require_range
from maskcast.core.errors import ConfigError
from maskcast.core.numbers import shortened

CutoutForm: TypeAlias = Literal["png", "exr", "prores", "vp9"]
MatteForm: TypeAlias = Literal["png", "png16", "h264", "prores", "ffv1"]
ScreenForm: TypeAlias = Literal["h264", "prores"]
Effect: TypeAlias = Literal[
    "blur", "pixelate", "black", "blur-background", "pixelate-background", "black-background"
]
EdgeKind: TypeAlias = Literal["hard", "soft", "refined", "matted"]
LARGEST_REACH = 100
"""Pixels by which objects may grow or be blurred."""
AnnotationForm: TypeAlias = Literal[
    "coco-video", "youtube-vis", "cvat", "cvat-masks", "labelme", "yolo", "mots"
]
"""Formats of annotation and training programs."""


@dataclass(frozen=True, kw_only=True)
class Exports:
    """The files to make from the finished masks."""

    overlay: bool = False
    """write exports/overlay.mp4: the objects painted over the video (H.264, original timing)."""
    labels: Literal["object", "corner", "off"] = "object"
    """where the overlay and the contact sheet write ids or names: on the objects, in a corner, or
    nowhere."""
    outlines: bool = False
    """show outlines of objects in the overlay and the contact sheet, without a tint."""
    cutout: tuple[CutoutForm, ...] = ()
    """write cut-outs with straight (unmatted) alpha: png or exr (one file per frame; EXR is linear
    light, half floats), prores (4444 mov), vp9 (webm)."""
    matte: tuple[MatteForm, ...] = ()
    """write mattes, white where the objects are: png (8 bits) or png16 (16 bits), one per frame;
    h264 (mp4, 8 bits), prores (4444 mov, 10 bits), ffv1 (mkv, 16 bits, lossless)."""
    green_screen: tuple[ScreenForm, ...] = ()
    """write the objects on green (#00b140): h264 (mp4), prores (4444 mov)."""
    effect: tuple[Effect, ...] = ()
    """write a video (H.264 mp4) in which the objects, or everything else, are blurred, pixelated or
    black."""
    rle: bool = False
    """write exports/masks.json: COCO run-length masks of every object in every frame."""
    tracks: bool = False
    """write exports/tracks.csv, one row per frame and object: number and name of the frame, object
    id, area in pixels, box (x, y, width, height), confidence (mean probability inside the mask),
    event (first, lost or returned), presence (probability that the object is visible)."""
    contact_sheet: bool = False
    """write exports/contact_sheet.png: a grid of frames with the objects painted over them."""
    annotations: tuple[AnnotationForm, ...] = ()
    """write annotations, with names of objects as categories: coco-video, youtube-vis (JSON), cvat
    (tracks of polygons), cvat-masks (XML), labelme, yolo, mots (folders)."""
    objects: Annotated[str | None, arg(metavar="IDS", help_behavior_hint="")] = None
    """ids such as 1,2, or all: make cut-outs, mattes, green screens and effects of these objects,
    one file for each object; default: of all objects, in one file."""
    merged: bool = False
    """make one file of all the chosen objects together."""
    edges: EdgeKind = "hard"
    """edges of cut-outs, mattes, green screens and effects: hard; soft, from the method's
    probabilities (keeps them, and computes a run without them again); refined, moved to the edges
    of the picture and as soft as these; matted, as soft as the picture there, for exact masks."""
    grow: int = 0
    """pixels by which objects grow before their edges are made; negative shrinks them."""
    feather: float = 0.0
    """blur alpha by this many pixels (standard deviation)."""
    fill_holes: int = 0
    """fill holes in objects of up to this many pixels."""
    rate: float = 24.0
    """frame rate of videos made from a folder of frames, in frames per second; 23.976, 29.97 and
    59.94 mean 24000/1001, 30000/1001 and 60000/1001."""
    sound: Annotated[bool, arg(help_behavior_hint="")] = True
    """the sound of the video is copied to exported videos, or encoded again where a format cannot
    hold it; --no-sound leaves it out."""
    start_number: Annotated[int | None, arg(metavar="NUMBER", help_behavior_hint="")] = None
    """number the pictures of cut-outs and mattes from here; default: named like the frames."""

    def __post_init__(self) -> None:
        require_choice(self, "edges", "labels")
        require_range(self, "rate", least=0.001, most=1000)
        require_range(self, "grow", least=-LARGEST_REACH, most=LARGEST_REACH)
        require_range(self, "feather", least=0, most=LARGEST_REACH)
        require_range(self, "fill_holes", least=0, most=10**8)
        require_range(self, "start_number", least=0, most=10**9)
        ids = self.objects
        if ids is not None and not re.fullmatch(r"all|[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*", ids):
            raise ConfigError(
                f"objects must be ids such as 1,2, or all, got {shortened(ids)!r}",
                options=("objects",),
            )
        if (ids is not None or self.merged) and not self.has_renderings:
            raise ConfigError(
                "objects and merged apply to cut-outs, mattes, green screens and effects; ask for "
                "one of them, or leave them out",
                options=("objects", "cutout", "matte", "green_screen", "effect"),
            )

    @property
    def needs_probabilities(self) -> bool:
        """Whether the run must keep the probabilities of its masks."""
        return self.edges == "soft" and self.has_renderings

    @property
    def has_renderings(self) -> bool:
        """Whether any export shows the objects alone, or changes their pixels."""
        return bool(self.cutout or self.matte or self.green_screen or self.effect)
