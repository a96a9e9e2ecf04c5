"""Settings that choose the files made from finished masks. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maskcast.core.config import require_range


@dataclass(frozen=True, kw_only=True)
class Exports:
    """The files to make from the finished masks."""

    overlay: bool = False
    """write exports/overlay.mp4: the objects painted over the video (H.264, original timing)."""
    cutout: tuple[Literal["png", "prores", "vp9"], ...] = ()
    """write cut-outs with an alpha channel: png (one per frame), prores (4444 mov), vp9 (webm)."""
    rle: bool = False
    """write exports/masks.json: COCO run-length masks of every object in every frame."""
    tracks: bool = False
    """write exports/tracks.csv, one row per frame and object: number and name of the frame, object
    id, area in pixels, box (x, y, width, height), confidence (mean probability inside the mask),
    event (first, lost or returned), presence (probability that the object is visible)."""
    contact_sheet: bool = False
    """write exports/contact_sheet.png: a grid of frames with the objects painted over them."""
    rate: float = 24.0
    """frame rate of videos made from a folder of frames, in frames per second; 23.976, 29.97 and
    59.94 mean 24000/1001, 30000/1001 and 60000/1001."""
    sound: bool = True
    """take over the sound of the video: copied, or encoded again where a format cannot hold it."""

    def __post_init__(self) -> None:
        require_range(self, "rate", least=0.001, most=1000)
