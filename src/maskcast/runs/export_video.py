"""What the exported videos of a run have in common: times, tags and sound of the source."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from maskcast.core.arrays import LabelArray, Picture
from maskcast.core.progress import Progress
from maskcast.io.video.export_timing import exact_rate, export_timing, steady_timing
from maskcast.io.video.formats import FORMATS, VideoKind
from maskcast.io.video.reader import Timing
from maskcast.io.video.sound import Sound, has_sound
from maskcast.io.video.source import FrameSource
from maskcast.io.video.tags import VideoTags, advance_timecode, read_tags
from maskcast.io.video.writer import open_video_writer
from maskcast.runs.export_record import parts_of
from maskcast.runs.tables import AddFrame

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class VideoOutput:
    """Size, times, tags and sound of every exported video of a range of frames."""

    size: tuple[int, int]
    timing: Timing
    tags: VideoTags
    sound: Sound | None


def video_output(frames: FrameSource, *, rate: float, sound: bool) -> VideoOutput:
    """Return what the videos made from ``frames`` have in common.

    Args:
        frames: the exported range of the source.
        rate: frames per second of a folder of frames; a video file has its own times.
        sound: whether to take over the sound of the source.

    Raises:
        VideoError: the source cannot be opened.
    """
    if frames.timing is None:
        steady = steady_timing(frames.count, exact_rate(rate))
        return VideoOutput(size=frames.size, timing=steady, tags=VideoTags(), sound=None)
    tags = read_tags(frames.path)
    timing = export_timing(frames.timing, tags.rates)
    if tags.timecode is not None:
        first = advance_timecode(tags.timecode, frames.first, timing.rate)
        tags = replace(tags, timecode=first)
    seconds = (timing.ticks[-1] - timing.ticks[0]) * timing.time_base + 1 / timing.rate
    heard = sound and has_sound(frames.path)
    return VideoOutput(
        size=frames.size,
        timing=timing,
        tags=replace(tags, rates=()),
        sound=Sound(frames.path, frames.begin, Fraction(seconds)) if heard else None,
    )


@contextmanager
def video_file(
    path: Path,
    *,
    kind: VideoKind,
    draw: Callable[[int, Picture, LabelArray], Any],
    output: VideoOutput,
    with_sound: bool = True,
    progress: Progress | None = None,
) -> Iterator[tuple[int, AddFrame]]:
    """Begin or continue a video whose frames ``draw`` makes; see ``open_video_writer``."""
    if output.tags.field_order != "progressive" and not FORMATS[kind].interlaced:
        log.warning("%s cannot be marked as interlaced, as the source is", path.name)
    with open_video_writer(
        path,
        kind,
        size=output.size,
        timing=output.timing,
        parts=parts_of(path),
        tags=output.tags,
        sound=output.sound if with_sound else None,
        progress=progress,
    ) as (first, write):
        yield first, lambda *frame: write(draw(*frame))
