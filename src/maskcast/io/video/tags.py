"""Properties of a video that its exports take over: pixel shape, colours, field order, timecode."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias, cast

from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc
from av.video.stream import VideoStream

from maskcast.io.video.container import decoded_frames, open_container
from maskcast.io.video.index import PROBED

FieldOrder: TypeAlias = Literal["progressive", "tt", "bb"]
"""Whether a frame combines two moments, and which line is the earlier one: top or bottom."""
_BOTTOM_FIRST = (3, 5)
"""``AVFieldOrder`` of bottom field first, as coded and as shown."""
_UNSPECIFIED = 2
LARGEST_ASPECT = 10
"""Pixel aspect ratios above this, or below its inverse, are taken for damage."""


@dataclass(frozen=True, kw_only=True)
class VideoTags:
    """Properties that exports take over from a video, apart from pictures and times."""

    pixel_aspect: Fraction = Fraction(1)
    """Width of a pixel divided by its height, after rotation to upright."""
    primaries: int = int(ColorPrimaries.BT709)
    """``AVColorPrimaries``."""
    transfer: int = int(ColorTrc.BT709)
    """``AVColorTransferCharacteristic``."""
    field_order: FieldOrder = "progressive"
    timecode: str | None = None
    """Timecode of the first frame, ``HH:MM:SS:FF``, or ``HH:MM:SS;FF`` for drop frame."""
    rates: tuple[Fraction, ...] = ()
    """Frame rates that the file declares."""


def read_tags(path: Path) -> VideoTags:
    """Read the tags of a video file.

    Raises:
        VideoError: the file is not a video.
    """
    with open_container(path) as (container, stream):
        rates = (stream.guessed_rate, stream.average_rate, stream.base_rate)
        timecode = _timecode(container, stream)
        codec = stream.codec_context
        aspect = stream.sample_aspect_ratio or codec.sample_aspect_ratio
        order = codec.field_order
        frames = list(islice(decoded_frames(container, stream), PROBED))
    primaries, transfer = codec.color_primaries, codec.color_trc
    return VideoTags(
        pixel_aspect=_pixel_aspect(aspect, frames),
        primaries=_known(primaries, ColorPrimaries.BT709),
        transfer=_known(transfer, ColorTrc.BT709),
        field_order=_field_order(order, frames),
        timecode=timecode,
        rates=tuple(rate for rate in rates if rate is not None and rate > 0),
    )


def _known(value: int, default: int) -> int:
    return int(default if value in (0, _UNSPECIFIED) else value)


def _pixel_aspect(aspect: Fraction | None, frames: Sequence[VideoFrame]) -> Fraction:
    if not aspect or not Fraction(1, LARGEST_ASPECT) <= aspect <= LARGEST_ASPECT:
        return Fraction(1)
    side_data = frames[0].side_data.get("DISPLAYMATRIX") if frames else None
    if side_data is None:
        return aspect
    a, b = struct.unpack("<2i", bytes(cast(SideData, side_data))[:8])
    return 1 / aspect if abs(b) > abs(a) else aspect


def _field_order(order: int, frames: Sequence[VideoFrame]) -> FieldOrder:
    if not any(frame.interlaced_frame for frame in frames):
        return "progressive"
    return "bb" if order in _BOTTOM_FIRST else "tt"


def _timecode(container: InputContainer, stream: VideoStream) -> str | None:
    others = (other.metadata for other in container.streams)
    for metadata in (stream.metadata, container.metadata, *others):
        for name, text in metadata.items():
            if name.lower() == "timecode" and _TIMECODE.fullmatch(text):
                return text
    return None


_TIMECODE = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d{2,3})", re.ASCII)


def advance_timecode(timecode: str, frames: int, rate: Fraction) -> str | None:
    """Return the timecode of a later frame; None if the timecode does not fit the rate.

    Args:
        timecode: that of the first frame.
        frames: number of frames between the two.
        rate: frames per second.
    """
    match = _TIMECODE.fullmatch(timecode)
    per_second = round(rate)
    if match is None or per_second < 1:
        return None
    hours, minutes, seconds, frame = (int(match[i]) for i in (1, 2, 3, 5))
    dropped = per_second // 15 if match[4] != ":" else 0
    if frame >= per_second or (dropped and per_second % 30):
        return None
    whole_minutes = 60 * hours + minutes
    number = (60 * whole_minutes + seconds) * per_second + frame + frames
    number -= dropped * (whole_minutes - whole_minutes // 10)
    number += _dropped_before(number, per_second, dropped)
    total, frame = divmod(number, per_second)
    minutes, seconds = divmod(total, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours % 24:02d}:{minutes:02d}:{seconds:02d}{match[4]}{frame:02d}"


def _dropped_before(number: int, per_second: int, dropped: int) -> int:
    """Return how many frame numbers drop-frame timecode leaves out before a frame.

    The first ``dropped`` numbers of each minute are left out, except in every tenth minute.
    """
    minute = 60 * per_second - dropped
    tens, rest = divmod(number, 10 * minute + dropped)
    return dropped * (9 * tens + max(0, (rest - dropped) // minute))
