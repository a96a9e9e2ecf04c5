"""The exports that the page offers, with their options: all that the command line has. Imports no
torch.

The forms and the options come from ``runs.export_settings``; this table adds their titles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from maskcast.core.errors import UsageError
from maskcast.runs.export_settings import (
    LARGEST_REACH,
    AnnotationForm,
    CutoutForm,
    EdgeKind,
    Effect,
    Exports,
    MatteForm,
    ScreenForm,
)
from maskcast.web.messages import MakeExports

LABELS = "labels"
"""The label maps of the run folder, which need not be made."""
LABELS_FILE = "labels.zip"
FORMS: Mapping[str, tuple[str, ...]] = {
    "cutout": get_args(CutoutForm),
    "matte": get_args(MatteForm),
    "green_screen": get_args(ScreenForm),
    "effect": get_args(Effect),
    "annotations": get_args(AnnotationForm),
}
"""Settings of ``Exports`` that list forms, and the forms."""
DENSITIES: Mapping[str, float] = {
    "labels": 0.0077,
    "rle": 0.0028,
    "tracks": 0.0001,
    "overlay": 0.018,
    "cutout:prores": 0.17,
    "cutout:vp9": 0.017,
    "cutout:png": 0.12,
    "cutout:exr": 0.28,
    "matte:prores": 0.055,
    "matte:h264": 0.0032,
    "matte:ffv1": 0.0073,
    "matte:png": 0.0049,
    "matte:png16": 0.006,
    "green_screen:h264": 0.0065,
    "green_screen:prores": 0.17,
    "effect:blur": 0.013,
    "effect:pixelate": 0.014,
    "effect:black": 0.014,
    "effect:blur-background": 0.0068,
    "effect:pixelate-background": 0.0077,
    "effect:black-background": 0.0064,
    "annotations:coco-video": 0.003,
    "annotations:youtube-vis": 0.0026,
    "annotations:cvat": 0.0053,
    "annotations:cvat-masks": 0.008,
    "annotations:labelme": 0.38,
    "annotations:yolo": 0.38,
    "annotations:mots": 0.0058,
}
"""Expected bytes for each pixel of each frame, by name of the export: on 24 frames of dog.mp4
(1280×720) with two objects on 6 % of the pixels. Other clips differ. ``labelme`` and ``yolo`` hold
copies of the frames."""
FIXED_SIZES: Mapping[str, int] = {"contact_sheet": 830_000}
"""Expected bytes of exports whose size hardly depends on the length of the video."""
EDGES = ("objects", "edges", "grow", "feather", "fill_holes")
"""Options of all exports that show objects alone, or change their pixels."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One export."""

    setting: str
    """Setting of ``Exports``, or ``LABELS``."""
    form: str | None = None
    """One of the forms that the setting lists; None for a setting that is a flag."""
    title: str
    group: str
    options: tuple[str, ...] = ()
    """Names of the options that apply to it."""

    @property
    def name(self) -> str:
        """The name in requests."""
        return self.setting if self.form is None else f"{self.setting}:{self.form}"


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option, for all chosen exports that follow it."""

    name: str
    title: str
    kind: Literal["choice", "whole", "number", "flag", "objects"]
    choices: tuple[tuple[str, str], ...] = ()
    """Values and titles."""
    least: float | None = None
    most: float | None = None
    only: Literal["video", "frames"] | None = None
    """Kind of source for which the option has an effect."""


_DRAWN = ("labels", "outlines")
_TIMED = ("rate", "sound")
_NUMBERED = (*EDGES, "start_number")
_FILMED = (*EDGES, *_TIMED)

OFFERS = (
    Offer(setting=LABELS, title="label maps (PNG, zip)", group="Masks"),
    Offer(setting="rle", title="run lengths (COCO, JSON)", group="Masks"),
    Offer(setting="tracks", title="areas and boxes (CSV)", group="Masks"),
    Offer(
        setting="overlay",
        title="overlay (mp4)",
        group="To look at",
        options=(*_DRAWN, *_TIMED),
    ),
    Offer(setting="contact_sheet", title="contact sheet (PNG)", group="To look at", options=_DRAWN),
    *(
        Offer(
            setting="cutout", form=form, title=title, group="Cut-outs with alpha", options=options
        )
        for form, title, options in (
            ("prores", "ProRes 4444 (mov)", _FILMED),
            ("vp9", "VP9 (webm)", _FILMED),
            ("png", "PNG sequence (zip)", _NUMBERED),
            ("exr", "EXR sequence, linear light (zip)", _NUMBERED),
        )
    ),
    *(
        Offer(setting="matte", form=form, title=title, group="Mattes", options=options)
        for form, title, options in (
            ("prores", "ProRes 4444, 10 bits (mov)", (*EDGES, "rate")),
            ("h264", "H.264, 8 bits (mp4)", (*EDGES, "rate")),
            ("ffv1", "FFV1, 16 bits, lossless (mkv)", (*EDGES, "rate")),
            ("png", "PNG sequence, 8 bits (zip)", _NUMBERED),
            ("png16", "PNG sequence, 16 bits (zip)", _NUMBERED),
        )
    ),
    *(
        Offer(setting="green_screen", form=form, title=title, group="Green screen", options=_FILMED)
        for form, title in (("h264", "H.264 (mp4)"), ("prores", "ProRes 4444 (mov)"))
    ),
    *(
        Offer(setting="effect", form=form, title=title, group="Effects (mp4)", options=_FILMED)
        for form, title in (
            ("blur", "objects blurred"),
            ("pixelate", "objects pixelated"),
            ("black", "objects black"),
            ("blur-background", "background blurred"),
            ("pixelate-background", "background pixelated"),
            ("black-background", "background black"),
        )
    ),
    *(
        Offer(setting="annotations", form=form, title=title, group="Annotations")
        for form, title in (
            ("coco-video", "COCO video (JSON)"),
            ("youtube-vis", "YouTube-VIS (JSON)"),
            ("cvat", "CVAT, tracks of polygons (XML)"),
            ("cvat-masks", "CVAT, masks (XML)"),
            ("labelme", "labelme (zip)"),
            ("yolo", "YOLO (zip)"),
            ("mots", "MOTS (zip)"),
        )
    ),
)
OPTIONS = (
    Option(
        name="labels",
        title="Ids or names",
        kind="choice",
        choices=(("object", "on the objects"), ("corner", "in a corner"), ("off", "nowhere")),
    ),
    Option(name="outlines", title="Outlines without a tint", kind="flag"),
    Option(name="objects", title="Objects", kind="objects"),
    Option(
        name="edges",
        title="Edges",
        kind="choice",
        choices=tuple(
            (kind, {"soft": "soft (needs kept probabilities)"}.get(kind, kind))
            for kind in get_args(EdgeKind)
        ),
    ),
    Option(
        name="grow",
        title="Grow by (pixels; negative shrinks)",
        kind="whole",
        least=-LARGEST_REACH,
        most=LARGEST_REACH,
    ),
    Option(
        name="feather",
        title="Blur edges by (pixels)",
        kind="number",
        least=0,
        most=LARGEST_REACH,
    ),
    Option(
        name="fill_holes",
        title="Fill holes of up to (pixels)",
        kind="whole",
        least=0,
        most=10**8,
    ),
    Option(
        name="rate",
        title="Frames per second of videos",
        kind="number",
        least=0.001,
        most=1000,
        only="frames",
    ),
    Option(name="sound", title="Sound of the video", kind="flag", only="video"),
    Option(
        name="start_number",
        title="First number of pictures (empty: like the frames)",
        kind="whole",
        least=0,
        most=10**9,
    ),
)


def listed() -> dict[str, Any]:
    """Return the exports and their options as JSON."""
    usual = Exports()
    return {
        "exports": [
            {
                "name": o.name,
                "title": o.title,
                "group": o.group,
                "options": list(o.options),
                "density": DENSITIES.get(o.name),
                "bytes": FIXED_SIZES.get(o.name),
            }
            for o in OFFERS
        ],
        "export_options": [
            {**vars(option), "usual": getattr(usual, option.name)} for option in OPTIONS
        ],
    }


def export_of(
    names: Iterable[str], options: Mapping[str, Any], span: tuple[int, int] | None
) -> MakeExports:
    """Return the request to the model worker.

    Args:
        names: names of exports.
        options: values by name of the option; ``merged`` belongs to ``objects``.
        span: first frame, and the frame after the last one; None: all frames.

    Raises:
        UsageError: an export or an option is unknown, or a value is invalid.
    """
    offers = [_offer(name) for name in dict.fromkeys(names)]
    if not offers:
        raise UsageError("choose at least one export")
    settings: dict[str, Any] = {}
    for offer in offers:
        if offer.form is not None:
            settings[offer.setting] = (*settings.get(offer.setting, ()), offer.form)
        elif offer.setting != LABELS:
            settings[offer.setting] = True
    followed = {name for offer in offers for name in offer.options}
    settings |= dict(_values(options, followed))
    return MakeExports(
        wanted=Exports(**settings), labels=any(o.setting == LABELS for o in offers), span=span
    )


def _offer(name: str) -> Offer:
    for offer in OFFERS:
        if offer.name == name:
            return offer
    raise UsageError(f"unknown export {name!r}")


def _values(options: Mapping[str, Any], followed: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield the options that apply to the chosen exports. Raises ``UsageError``."""
    known = {option.name: str(option.kind) for option in OPTIONS} | {"merged": "flag"}
    choices = {option.name: dict(option.choices) for option in OPTIONS if option.choices}
    kinds: dict[str, tuple[type, ...]] = {
        "choice": (str,),
        "objects": (str,),
        "whole": (int,),
        "number": (int, float),
        "flag": (bool,),
    }
    for name, value in options.items():
        if name not in known:
            raise UsageError(f"unknown option {name!r}")
        if value is not None and type(value) not in kinds[known[name]]:
            raise UsageError(f"{name} has a value of a wrong type")
        if value is not None and name in choices and value not in choices[name]:
            raise UsageError(f"{name} must be one of {', '.join(choices[name])}")
        if value is not None and ("objects" if name == "merged" else name) in followed:
            yield name, float(value) if known[name] == "number" else value
