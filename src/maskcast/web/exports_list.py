"""The exports that the page offers, and their files. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from maskcast.core.errors import UsageError
from maskcast.web.messages import MakeExports


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One export."""

    name: str
    title: str
    kind: Literal["zip", "video", "file"]
    file: str
    """Name of the download; a zip archive is created while it is sent."""


OFFERS = (
    Offer(name="labels", title="label maps (zip)", kind="zip", file="labels.zip"),
    Offer(name="overlay", title="overlay (mp4)", kind="video", file="overlay.mp4"),
    Offer(name="png", title="cut-out (PNG, zip)", kind="zip", file="cutout.zip"),
    Offer(name="prores", title="cut-out (ProRes 4444)", kind="video", file="cutout.mov"),
    Offer(name="vp9", title="cut-out (VP9 with alpha)", kind="video", file="cutout.webm"),
    Offer(name="rle", title="COCO run lengths (JSON)", kind="file", file="masks.json"),
    Offer(name="tracks", title="areas and boxes (CSV)", kind="file", file="tracks.csv"),
    Offer(name="contact_sheet", title="contact sheet (PNG)", kind="file", file="contact_sheet.png"),
)
LIST = [{"name": o.name, "title": o.title, "kind": o.kind, "file": o.file} for o in OFFERS]
"""The exports, as JSON."""
FILES = {offer.file: offer.name for offer in OFFERS}


def export_of(names: Iterable[str], span: tuple[int, int] | None) -> MakeExports:
    """Return the request to the model worker. Raises ``UsageError``."""
    wanted = set(names)
    if unknown := sorted(wanted - {offer.name for offer in OFFERS}):
        raise UsageError(f"unknown export {unknown[0]!r}")
    if not wanted:
        raise UsageError("choose at least one export")
    return MakeExports(
        overlay="overlay" in wanted,
        cutout=tuple(form for form in ("png", "prores", "vp9") if form in wanted),
        rle="rle" in wanted,
        tracks="tracks" in wanted,
        contact_sheet="contact_sheet" in wanted,
        span=span,
    )


def files_of(names: Iterable[str]) -> list[str]:
    """Return the names of the files of some exports."""
    wanted = set(names)
    return [offer.file for offer in OFFERS if offer.name in wanted]
