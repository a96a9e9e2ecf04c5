"""Give one mask, get the whole video.

    import maskcast

    segmenter = maskcast.load_segmenter()
    frames = maskcast.open_frames("video.mp4")
    given = maskcast.read_prompts(["mask.png"], names=frames.names, size=frames.size)
    for masks in maskcast.segment_video(segmenter, frames, given.by_frame):
        masks.label_map()

docs/python.md shows more: cameras, several videos, saved states, corrections, errors by kind.
Names are imported on first use, so ``import maskcast`` itself is fast and does not load torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maskcast.core.errors import MaskcastError
    from maskcast.core.segmenter import VideoSegmenter, segment_steps, segment_video
    from maskcast.core.state import load_state, save_state
    from maskcast.core.types import ABSENT, Box, Frame, Mask, ObjectMasks, Prompts
    from maskcast.io.label_maps import read_label_map, write_label_map
    from maskcast.io.prompts.reading import read_prompts
    from maskcast.io.video.source import open_frames
    from maskcast.methods.spec import SegmenterSpec, load_segmenter
    from maskcast.runs.export_settings import Exports
    from maskcast.runs.tables import write_rle, write_tracks
    from maskcast.runs.video_request import VideoRequest, VideoResult
    from maskcast.runs.video_run import run_video
    from maskcast.viz.showing import overlay, show

    __version__: str

_HOMES = {
    "ABSENT": "core.types",
    "Box": "core.types",
    "Exports": "runs.export_settings",
    "Frame": "core.types",
    "Mask": "core.types",
    "MaskcastError": "core.errors",
    "ObjectMasks": "core.types",
    "Prompts": "core.types",
    "SegmenterSpec": "methods.spec",
    "VideoRequest": "runs.video_request",
    "VideoResult": "runs.video_request",
    "VideoSegmenter": "core.segmenter",
    "load_segmenter": "methods.spec",
    "load_state": "core.state",
    "open_frames": "io.video.source",
    "overlay": "viz.showing",
    "read_label_map": "io.label_maps",
    "read_prompts": "io.prompts.reading",
    "run_video": "runs.video_run",
    "save_state": "core.state",
    "segment_steps": "core.segmenter",
    "segment_video": "core.segmenter",
    "show": "viz.showing",
    "write_label_map": "io.label_maps",
    "write_rle": "runs.tables",
    "write_tracks": "runs.tables",
}

__all__ = [
    "ABSENT",
    "Box",
    "Exports",
    "Frame",
    "Mask",
    "MaskcastError",
    "ObjectMasks",
    "Prompts",
    "SegmenterSpec",
    "VideoRequest",
    "VideoResult",
    "VideoSegmenter",
    "load_segmenter",
    "load_state",
    "open_frames",
    "overlay",
    "read_label_map",
    "read_prompts",
    "run_video",
    "save_state",
    "segment_steps",
    "segment_video",
    "show",
    "write_label_map",
    "write_rle",
    "write_tracks",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


if not TYPE_CHECKING:  # with __getattr__ in sight, a type checker would accept any name

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return version("maskcast")
        if name not in _HOMES:
            raise AttributeError(f"module 'maskcast' has no attribute {name!r}")
        return getattr(import_module(f"maskcast.{_HOMES[name]}"), name)
