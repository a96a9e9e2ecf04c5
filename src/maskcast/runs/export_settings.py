"""Which files are made from finished masks: settings alone, which need no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from maskcast.core.config import require_range


@dataclass(frozen=True, kw_only=True)
class Exports:
    """Which files are made from the finished masks."""

    overlay: bool = False
    """Write exports/overlay.mp4: the objects painted over the video (H.264, its own times)."""
    cutout: tuple[Literal["png", "prores", "vp9"], ...] = ()
    """Cut the objects out with alpha: png (a sequence), prores (4444 mov), vp9 (webm)."""
    rle: bool = False
    """Write exports/masks.json: COCO run-length masks per object and frame."""
    tracks: bool = False
    """Write exports/tracks.csv: area, box, confidence of every object in every frame."""
    contact_sheet: bool = False
    """Write exports/contact_sheet.png: the video at a glance."""
    rate: float = 24.0
    """Frames per second of videos made from a folder of frames."""

    def __post_init__(self) -> None:
        require_range(self, "rate", least=0.001, most=1000)
