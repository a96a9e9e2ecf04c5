"""Index the frames of a video file by the presentation times of its packets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from maskcast.core.errors import VideoError
from maskcast.io.video.container import decoded_frames, open_container, packets_of
from maskcast.io.video.reader import Timing

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


def read_index(path: Path) -> VideoIndex:
    """Index a video file; decode it only if its packets have no usable times.

    Raises:
        VideoError: the file is not a video, or has no frames.
    """
    with open_container(path) as (container, stream):
        time_base = stream.time_base or Fraction(1, 1000)
        shown: list[int] = []
        keys: list[int] = []
        untimed = False
        end = decoded_until = 0
        partial_packet = False  # the last packet of a truncated file
        for packet in packets_of(container, stream):
            if packet.is_corrupt:
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
        return _index_by_decoding(path)
    ticks = sorted(tick for tick in shown if tick >= keys[0])
    if not ticks:
        why = "is cut off before its first frame" if partial_packet else "contains no frames"
        raise VideoError(f"{path} {why}")
    cut_short = partial_packet or _ends_early(ticks, end, time_base, declared)
    if cut_short:  # after the last decoding time, frames in between may be missing
        ticks = [tick for tick in ticks if tick <= decoded_until] or ticks[:1]
    return VideoIndex(Timing(time_base, tuple(ticks)), tuple(sorted(keys)), True, cut_short)


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


def _index_by_decoding(path: Path) -> VideoIndex:
    """Index a file whose packets have no usable times, by decoding and counting its frames."""
    with open_container(path) as (container, stream):
        rate = stream.average_rate or Fraction(25)
        count = sum(1 for _ in decoded_frames(container, stream))
    if count == 0:
        raise VideoError(f"{path} contains no frames that can be decoded")
    return VideoIndex(Timing(1 / rate, tuple(range(count))), (), False, False)
