"""Give one mask, get the whole video.

    import maskcast

    segmenter = maskcast.load_segmenter()
    frames = maskcast.open_frames(Path("video.mp4"))
    given = maskcast.read_prompts([Path("mask.png")], names=frames.names, size=frames.size)
    for masks in maskcast.segment_video(segmenter, frames, given.by_frame):
        masks.label_map()

Names are imported when they are first used, so that ``import maskcast`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskcast.core.errors import MaskcastError
    from maskcast.core.segmenter import VideoSegmenter, segment_video
    from maskcast.core.types import Box, ObjectMasks
    from maskcast.io.label_maps import read_label_map, write_label_map
    from maskcast.io.prompts import read_prompts
    from maskcast.io.video import open_frames
    from maskcast.methods.catalogue import load_segmenter

_HOMES = {
    "Box": "core.types",
    "MaskcastError": "core.errors",
    "ObjectMasks": "core.types",
    "VideoSegmenter": "core.segmenter",
    "load_segmenter": "methods.catalogue",
    "open_frames": "io.video",
    "read_label_map": "io.label_maps",
    "read_prompts": "io.prompts",
    "segment_video": "core.segmenter",
    "write_label_map": "io.label_maps",
}

__all__ = [
    "Box",
    "MaskcastError",
    "ObjectMasks",
    "VideoSegmenter",
    "load_segmenter",
    "open_frames",
    "read_label_map",
    "read_prompts",
    "segment_video",
    "write_label_map",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'maskcast' has no attribute {name!r}")
    return getattr(import_module(f"maskcast.{_HOMES[name]}"), name)
