"""Index the frames of a video file: by its packets, or by decoding it.

In MP4 and Matroska a packet is a frame, and its presentation time is right. Elsewhere a packet may
be one field of two (H.264 in AVCHD), times may be those of decoding (B-frames in AVI), and joined
files may go back in time. Such files are decoded once, and so are interlaced ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import TypeVar

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from maskcast.core.errors import VideoError
from maskcast.core.progress import Progress
from maskcast.io.video.container import (
    decoded_frames,
    open_container,
    packets_of,
    whole_packets,
)
from maskcast.io.video.reader import Timing, log

Timed = TypeVar("Timed", "Packet[VideoStream]", VideoFrame)

_CUT_TOLERANCE = Fraction(1, 10)
"""Seconds by which the last frame may end before the duration in the file's header."""


@dataclass(frozen=True)
class VideoIndex:
    """The frames of a video file."""

    timing: Timing
    """Presentation times of the frames."""
    key_ticks: tuple[int, ...]
    """Presentation times of the key frames, ascending; empty if seeking is unreliable."""
    by_time: bool
    """Whether frames are identified by their times; if False, they are counted."""
    cut_short: bool
    """Whether the file is truncated."""
    interlaced: bool
    """Whether frames combine two moments, line by line."""


RELIABLE = frozenset(("mov", "mp4", "matroska", "webm"))
"""Containers, as FFmpeg names them, in which every packet is one frame with its time."""
PROBED = 16
"""Frames that are decoded to find out whether a video is interlaced."""


def read_index(path: Path, progress: Progress | None = None) -> VideoIndex:
    """Index a video file by its packets, or by decoding it if the two differ.

    Args:
        path: the file.
        progress: called with the seconds of the video that are indexed.

    Raises:
        VideoError: the file is not a video, or has no frames.
    """
    index, reliable = _index_by_packets(path, progress)
    if reliable:
        probed = list(islice(_decoded_times(path, None), PROBED))
    else:
        probed = list(_decoded_times(path, progress))
    interlaced = any(frame.interlaced for frame in probed)
    if index is not None and not interlaced and _agree(index, probed):
        return index
    decoded = list(_decoded_times(path, progress)) if reliable else probed
    if index is not None and not interlaced and len(decoded) < len(index.timing.ticks):
        log.warning("%s: only %d frames can be decoded", path, len(decoded))
    return _index_of_decoded(path, decoded, cut_short=index is not None and index.cut_short)


def _index_by_packets(path: Path, progress: Progress | None) -> tuple[VideoIndex | None, bool]:
    """Return the index according to the packets, and whether packets are frames in this container.

    The index is None if packets lack times or have the same time.

    Raises:
        VideoError: the file is not a video, or has no frames.
    """
    with open_container(path) as (container, stream):
        time_base = stream.time_base or Fraction(1, 1000)
        reliable = not RELIABLE.isdisjoint(container.format.name.split(","))
        shown: list[int] = []
        keys: list[int] = []
        untimed = False
        end = decoded_until = 0
        partial_packet = False  # the last packet of a truncated file
        packets = _watched(packets_of(container, stream), container, stream, progress)
        for packet in whole_packets(packets):
            if packet is None:
                partial_packet = True
                continue
            if packet.pts is None:
                untimed = True
            elif packet.is_keyframe:
                keys.append(packet.pts)
            if packet.pts is not None and keys and not _is_hidden(packet, stream):
                shown.append(packet.pts)
                end = max(end, packet.pts + (packet.duration or 0))
                decoded_until = packet.pts if packet.dts is None else packet.dts
        declared = _declared_end(container, stream)
    if untimed or len(set(shown)) != len(shown):
        return None, reliable
    ticks = sorted(tick for tick in shown if tick >= keys[0])
    if not ticks:
        why = "is cut off before its first frame" if partial_packet else "contains no frames"
        raise VideoError(f"{path} {why}")
    cut_short = partial_packet or _ends_early(ticks, end, time_base, declared)
    if cut_short:  # after the last decoding time, frames in between may be missing
        ticks = [tick for tick in ticks if tick <= decoded_until] or ticks[:1]
    timing = Timing(time_base, tuple(ticks))
    return VideoIndex(timing, tuple(sorted(keys)), True, cut_short, False), reliable


def _watched(
    items: Iterator[Timed],
    container: InputContainer,
    stream: VideoStream,
    progress: Progress | None,
) -> Iterator[Timed]:
    """Yield packets or frames, and report the seconds of the video that they reach."""
    if progress is None:
        yield from items
        return
    work = f"reading {Path(container.name).name}"
    total = None if container.duration is None else max(1, container.duration // av.time_base)
    second, zero, reached = float(stream.time_base or 0), stream.start_time or 0, 0
    for item in items:
        seconds = 0 if item.pts is None else int((item.pts - zero) * second)
        if seconds > reached:
            reached = seconds if total is None else min(seconds, total)
            progress(work, reached, total)
        yield item
    if reached:
        progress(work, total or reached, total or reached)


def _agree(index: VideoIndex, probed: Sequence[_DecodedFrame]) -> bool:
    """Return whether the first decoded frames are the first ones of the index.

    Damaged frames may be missing, but none may come in another order or be unknown.
    """
    times = [frame.tick for frame in probed if not frame.damaged]
    known = set(index.timing.ticks)
    rising = all(before < after for before, after in pairwise(t for t in times if t is not None))
    return rising and all(time is None or time in known for time in times)


def _ends_early(
    ticks: Sequence[int], end: int, time_base: Fraction, declared: Fraction | None
) -> bool:
    """Return whether the frames end well before the end that the file's header declares."""
    if declared is None:
        return False
    longest_step = max((after - before for before, after in pairwise(ticks)), default=0)
    tolerance = max(2 * longest_step * time_base, _CUT_TOLERANCE)
    return end * time_base + tolerance < declared


def _is_hidden(packet: Packet[VideoStream], stream: VideoStream) -> bool:
    """Return whether a packet is never shown: outside an edit list, or a VP8 helper frame."""
    vp8_shown = 0x10
    hidden_vp8 = stream.codec_context.name == "vp8" and not bytes(packet)[0] & vp8_shown
    return packet.is_discard or hidden_vp8


def _declared_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the time in seconds at which the last frame ends according to the file's header."""
    if stream.duration is not None and stream.time_base is not None:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    tag = stream.metadata.get("DURATION", "")  # Matroska, one per track
    if match := re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", tag, re.ASCII):
        hours, minutes, seconds = match.groups()
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    return None


@dataclass(frozen=True)
class _DecodedFrame:
    tick: int | None
    """Presentation time, if the frame has one."""
    is_key: bool
    interlaced: bool
    damaged: bool


def _decoded_times(path: Path, progress: Progress | None) -> Iterator[_DecodedFrame]:
    with open_container(path) as (container, stream):
        frames = decoded_frames(container, stream)
        for frame in _watched(frames, container, stream, progress):
            yield _DecodedFrame(
                frame.pts, frame.key_frame, frame.interlaced_frame, frame.is_corrupt
            )


def _index_of_decoded(
    path: Path, frames: Sequence[_DecodedFrame], *, cut_short: bool
) -> VideoIndex:
    """Index a file by its decoded frames; if their times do not rise, they are counted instead."""
    with open_container(path) as (_, stream):
        rate = stream.average_rate or Fraction(25)
        time_base = stream.time_base or Fraction(1, 1000)
    if not frames:
        raise VideoError(f"{path} contains no frames that can be decoded")
    interlaced = any(frame.interlaced for frame in frames)
    ticks = [frame.tick for frame in frames if frame.tick is not None]
    if len(ticks) == len(frames) and all(before < after for before, after in pairwise(ticks)):
        keys = tuple(frame.tick for frame in frames if frame.is_key and frame.tick is not None)
        return VideoIndex(Timing(time_base, tuple(ticks)), keys, True, cut_short, interlaced)
    timing = Timing(1 / rate, tuple(range(len(frames))))
    return VideoIndex(timing, (), False, cut_short, interlaced)
