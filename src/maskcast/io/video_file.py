"""Video files through PyAV: an index of the frames first, then any stretch of them.

Frames are found by their presentation times, so that B-frames, edit lists and variable frame rates
need no special care, and a frame has the same number whether it was reached from the beginning or
by a jump to the key frame before it.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8

from maskcast.core.errors import FrameError, VideoError
from maskcast.io.frame_folder import ENDINGS as PICTURE_ENDINGS
from maskcast.io.label_maps import LARGEST_PICTURE
from maskcast.io.pictures import (
    OnBadFrame,
    Picture,
    Timing,
    fill_bad_frame,
    log,
    refuse_other_size,
)

CONTAINERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg,gif,ivf,m4v,h264,hevc,mjpeg"
"""Other demuxers are off: playlists could make FFmpeg open files and addresses of their choice."""
_OPTIONS = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
_UNSPECIFIED = 2
_HDR: dict[int, str] = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}
_CUT_TOLERANCE = Fraction(1, 10)
"""Seconds by which the last frame may always end before the duration that the file declares."""


@dataclass(frozen=True)
class _Index:
    """The frames of a file, found without decoding them."""

    timing: Timing
    key_ticks: tuple[int, ...]
    """Presentation times of the key frames, rising; empty where jumps cannot be trusted."""
    by_time: bool
    """False: frames carry no usable times and are counted instead."""
    cut_short: bool
    """The file ends before the video does."""


class VideoFile:
    """The pictures of a video file.

    Attributes:
        path: the file.
        names: frame numbers of five digits, or as many as the last one needs.
        size: height and width in pixels, upright.
        timing: presentation times.

    Raises:
        VideoError: it is not a video, has no frames, or is cut off before the first one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._index = _read_index(path)
        self.timing = self._index.timing
        digits = max(5, len(str(self.count - 1)))
        self.names = [f"{frame_index:0{digits}d}" for frame_index in range(self.count)]
        with closing(self._decoded(0)) as decoded:
            first = next(decoded, None)
        if first is None:
            raise VideoError(f"cannot decode any frame of {path}")
        height, width, _ = first[1].shape
        self.size = (int(height), int(width))
        if kind := self._hdr():
            log.warning(
                "%s is HDR (%s) and is read without tone mapping, with pale colours; a version in "
                "SDR may give better masks",
                path,
                kind,
            )

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.timing.ticks)

    @property
    def cut_short(self) -> bool:
        """Whether the file ends before the video does."""
        return self._index.cut_short

    def pictures(self, first: int, last: int, on_bad_frame: OnBadFrame) -> Iterator[Picture]:
        """Yield the frames ``first`` ≤ i < ``last``.

        Raises:
            FrameError: a frame is damaged (unless held) or has another size.
        """
        if first >= last:
            return
        expected = first
        previous: Picture | None = None
        with closing(self._decoded(first)) as decoded:
            for frame_index, picture in decoded:
                while expected < min(frame_index, last):
                    previous = self._hold(previous, expected, on_bad_frame)
                    yield previous
                    expected += 1
                if expected == last:
                    return
                if frame_index == expected:
                    refuse_other_size(picture, self.size, self._label(frame_index))
                    previous = picture
                    yield picture
                    expected += 1
        for frame_index in range(expected, last):
            previous = self._hold(previous, frame_index, on_bad_frame)
            yield previous

    def group_start(self, frame_index: int) -> int:
        """Return the number of the key frame with which decoding of ``frame_index`` begins."""
        ticks, keys = self.timing.ticks, self._index.key_ticks
        place = bisect_right(keys, ticks[frame_index]) - 1
        return bisect_left(ticks, keys[place]) if place >= 0 else 0

    def describe(self) -> list[str]:
        """Say in lines what the file holds."""
        with _open(self.path) as (container, stream):
            codec = stream.codec_context
            kind = f"{container.format.name.split(',')[0]}, {codec.name}, {codec.pix_fmt}"
        hdr = self._hdr()
        height, width = self.size
        rate = float(self.timing.rate)
        ticks = self.timing.ticks
        steps = {after - before for before, after in pairwise(ticks)}
        even = max(steps, default=0) - min(steps, default=0) <= 1
        seconds = float(self.timing.seconds(self.count - 1) - self.timing.seconds(0)) + 1 / rate
        return [
            f"video     {kind}" + (f", HDR ({hdr})" if hdr else ""),
            f"frames    {self.count}" + (", cut off before its end" if self.cut_short else ""),
            f"size      {width}×{height}",
            f"duration  {seconds:.2f} s",
            f"rate      {rate:.3f} frames per second" + ("" if even else " on average, variable"),
        ]

    def _hdr(self) -> str | None:
        """Name the transfer function of a video of high dynamic range."""
        with _open(self.path) as (_, stream):
            return _HDR.get(stream.codec_context.color_trc)

    def _hold(
        self, previous: Picture | None, frame_index: int, on_bad_frame: OnBadFrame
    ) -> Picture:
        error = FrameError(f"{self._label(frame_index)} of {self.path.name} is damaged")
        if previous is None and on_bad_frame == "hold":
            previous = self._last_good_before(frame_index)
        return fill_bad_frame(previous, error, on_bad_frame)

    def _last_good_before(self, frame_index: int) -> Picture | None:
        start = frame_index
        found: Picture | None = None
        while found is None and start > 0:
            start = self.group_start(start - 1)
            with closing(self._decoded(start)) as decoded:
                for earlier, picture in decoded:
                    if earlier >= frame_index:
                        break
                    found = picture
        return found

    def _label(self, frame_index: int) -> str:
        seconds = float(self.timing.seconds(frame_index))
        return f"frame {frame_index} (at {seconds:.2f} s)"

    def _decoded(self, first: int) -> Generator[tuple[int, Picture], None, None]:
        """Yield frames that can be decoded, with their numbers, beginning at or after ``first``."""
        converter = VideoReformatter()  # one for all: every frame's own would start threads
        if not self._index.by_time:
            for frame_index, frame in enumerate(self._frames_from_the_beginning()):
                if frame_index < first:
                    continue
                if (picture := _upright_rgb(frame, converter)) is not None:
                    yield frame_index, picture
            return
        ticks = self.timing.ticks
        for frame in self._frames_from(first):
            if frame.pts is None or frame.is_corrupt:
                continue
            frame_index = bisect_left(ticks, frame.pts)
            known = frame_index < len(ticks) and ticks[frame_index] == frame.pts
            if not known or frame_index < first:
                continue
            if (picture := _upright_rgb(frame, converter)) is not None:
                yield frame_index, picture

    def _frames_from(self, first: int) -> Iterator[VideoFrame]:
        """Decode from the key frame before ``first`` on, or from the beginning if a jump fails."""
        wanted = self.timing.ticks[first]
        keys = self._index.key_ticks
        place = bisect_right(keys, wanted) - 1
        if place > 0:
            with _open(self.path) as (container, stream), suppress(av.error.FFmpegError):
                container.seek(keys[place], stream=stream, backward=True)
                frames = _frames(container, stream)
                landed = next(frames, None)
                if landed is not None and landed.pts is not None and landed.pts <= wanted:
                    yield landed
                    yield from frames
                    return
        yield from self._frames_from_the_beginning()

    def _frames_from_the_beginning(self) -> Iterator[VideoFrame]:
        with _open(self.path) as (container, stream):
            yield from _frames(container, stream)


@contextmanager
def _open(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        # absolute, so that no part of a name is taken for a protocol
        container = av.open(path.absolute(), options=dict(_OPTIONS), metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(_why_not_opened(path)) from error
    with container:
        streams = [
            stream
            for stream in container.streams.video
            if not stream.disposition & Disposition.attached_pic
        ]
        if not streams:
            found = (
                "it contains only audio" if container.streams.audio else "it has no video stream"
            )
            raise VideoError(f"{path} is not a video: {found}")
        stream = streams[0]
        if stream.codec_context is None:
            raise VideoError(
                f"{path} uses a codec that this build of FFmpeg cannot decode; convert the video"
            )
        if stream.width * stream.height > LARGEST_PICTURE:
            raise VideoError(
                f"{path} declares frames of {stream.width}×{stream.height} pixels; "
                "rejected as a decompression bomb"
            )
        stream.codec_context.options = {"max_pixels": str(LARGEST_PICTURE)}
        stream.thread_type = "AUTO"
        yield container, stream


def _why_not_opened(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        return f"cannot open {path}: {error.strerror}"
    if not head:
        return f"{path} is empty"
    if path.suffix.lower() in PICTURE_ENDINGS:
        return f"{path} is an image; give a video file, or the folder that contains the frames"
    if head[4:8] == b"ftyp" or head[8:12] == b"AVI " or head[:4] == b"\x1a\x45\xdf\xa3":
        return f"{path} is cut off or damaged: it starts like a video, but its header is incomplete"
    return f"{path} is not a supported video (mp4, mov, mkv, webm or avi)"


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield the packets of the stream; a file that breaks off ends them."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.error.FFmpegError as error:
        log.debug("the file is cut off: %s", error)


def _frames(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode in presentation order; packets that cannot be decoded are left out."""
    for packet in _packets(container, stream):
        if packet.is_corrupt:
            continue
        try:
            yield from packet.decode()
        except av.error.FFmpegError as error:
            log.debug("packet at %s: %s", packet.pts, error)
    try:
        yield from stream.codec_context.decode(None)
    except av.error.FFmpegError as error:
        log.debug("at the end: %s", error)


def _read_index(path: Path) -> _Index:
    with _open(path) as (container, stream):
        time_base = stream.time_base or Fraction(1, 1000)
        shown: list[int] = []
        keys: list[int] = []
        untimed = False
        end = decoded_until = 0
        partial_packet = False  # the last one of a file that was cut
        for packet in _packets(container, stream):
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
    if cut_short:  # frames shown after the last decoded one may lack others between them
        ticks = [tick for tick in ticks if tick <= decoded_until] or ticks[:1]
    return _Index(Timing(time_base, tuple(ticks)), tuple(sorted(keys)), True, cut_short)


def _ends_early(
    ticks: Sequence[int], end: int, time_base: Fraction, declared: Fraction | None
) -> bool:
    """Whether the frames end well before the file says that they do."""
    if declared is None:
        return False
    longest_step = max((after - before for before, after in pairwise(ticks)), default=0)
    tolerance = max(2 * longest_step * time_base, _CUT_TOLERANCE)
    return end * time_base + tolerance < declared


def _is_hidden(packet: Packet[VideoStream], stream: VideoStream) -> bool:
    """Whether a packet is decoded but never shown: outside an edit list, or a VP8 helper frame."""
    vp8_shown = 0x10
    hidden_vp8 = stream.codec_context.name == "vp8" and not bytes(packet)[0] & vp8_shown
    return packet.is_discard or hidden_vp8


def _declared_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """When the last frame should end, in seconds, as the file's header has it."""
    if stream.duration is not None and stream.time_base is not None:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    tag = stream.metadata.get("DURATION", "")  # Matroska, one per track
    if match := re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", tag, re.ASCII):
        hours, minutes, seconds = match.groups()
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    return None


def _index_by_decoding(path: Path) -> _Index:
    """Count the frames of a file whose packets carry no usable times."""
    with _open(path) as (container, stream):
        rate = stream.average_rate or Fraction(25)
        count = sum(1 for _ in _frames(container, stream))
    if count == 0:
        raise VideoError(f"{path} contains no frames that can be decoded")
    return _Index(Timing(1 / rate, tuple(range(count))), (), False, False)


def _upright_rgb(frame: VideoFrame, converter: VideoReformatter) -> Picture | None:
    """Convert to RGB and undo the rotation that the file asks players for; None: it cannot be."""
    hd = frame.colorspace == _UNSPECIFIED and frame.height >= 720  # as players guess
    try:
        converted = converter.reformat(
            frame, format="rgb24", src_colorspace=Colorspace.ITU709 if hd else None
        )
    except (av.error.FFmpegError, ValueError) as error:  # tags that contradict each other
        log.debug("frame at %s: %s", frame.pts, error)
        return None
    picture = np.asarray(converted.to_ndarray(), dtype=np.uint8)
    side_data = frame.side_data.get("DISPLAYMATRIX")
    return picture if side_data is None else _turn(picture, bytes(cast(SideData, side_data)))


def _turn(picture: Picture, matrix: bytes) -> UInt8[np.ndarray, "shown_height shown_width 3"]:
    """Apply a display matrix: (x, y) is shown at (a·x + c·y, b·x + d·y), up to a shift."""
    a, b, _, c, d, _, _, _, _ = struct.unpack("<9i", matrix[:36])
    if abs(b) > abs(a):
        picture = picture.transpose(1, 0, 2)
        a, d = c, b
    if a < 0:
        picture = picture[:, ::-1]
    if d < 0:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)
