"""Read any range of a video file with PyAV, using an index of its frames.

Frames are identified by their presentation times. So B-frames, edit lists and variable frame rates
need no special treatment, and a frame has the same index whether decoding started at the beginning
or at the key frame before it.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from typing import cast

import av
import av.error
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, ColorTrc, VideoReformatter
from jaxtyping import UInt8

from maskcast.core.arrays import Picture
from maskcast.core.errors import FrameError, VideoError
from maskcast.core.progress import Progress
from maskcast.io.video.container import decoded_frames, open_container
from maskcast.io.video.index import read_index
from maskcast.io.video.reader import OnBadFrame, fill_bad_frame, log, refuse_other_size

_UNSPECIFIED = 2
_HDR: dict[int, str] = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}


class VideoFile:
    """A video file, readable from any frame.

    Args:
        path: the file.
        progress: called with the seconds of the video that are indexed.

    Attributes:
        path: the file.
        names: frame indices with five digits, or more if the last one needs them.
        size: height and width in pixels, after rotation to upright.
        timing: presentation times.

    Raises:
        VideoError: the file is not a video, has no frames, or is truncated before the first one.
    """

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        self.path = path
        self._index = read_index(path, progress)
        self.timing = self._index.timing
        digits = max(5, len(str(self.count - 1)))
        self.names = [f"{frame_index:0{digits}d}" for frame_index in range(self.count)]
        with closing(self._decoded(0)) as decoded:
            first = next(decoded, None)
        if first is None:
            raise VideoError(f"cannot decode any frame of {path}")
        height, width, _ = first[1].shape
        self.size = (int(height), int(width))
        if self._index.interlaced:
            log.warning(
                "%s is interlaced: each frame combines two moments, and moving edges look like "
                "combs; deinterlaced, for instance with FFmpeg's filter bwdif, it gives better "
                "masks",
                path,
            )
        if kind := self._hdr():
            log.warning(
                "%s is HDR (%s) and is read without tone mapping, so its colours are pale; an SDR "
                "version may give better masks",
                path,
                kind,
            )

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.timing.ticks)

    @property
    def cut_short(self) -> bool:
        """Whether the file is truncated."""
        return self._index.cut_short

    def pictures(self, first: int, last: int, on_bad_frame: OnBadFrame) -> Iterator[Picture]:
        """Yield the frames ``first`` ≤ i < ``last``.

        Raises:
            FrameError: a frame has another size, or is damaged and ``on_bad_frame`` is ``"stop"``.
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
        """Return the index of the key frame from which ``frame_index`` must be decoded."""
        ticks, keys = self.timing.ticks, self._index.key_ticks
        group = bisect_right(keys, ticks[frame_index]) - 1
        return bisect_left(ticks, keys[group]) if group >= 0 else 0

    def describe(self) -> list[str]:
        """Return lines that describe the file: format, frames, size, duration, rate."""
        with open_container(self.path) as (container, stream):
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
            f"video     {kind}"
            + (f", HDR ({hdr})" if hdr else "")
            + (", interlaced" if self._index.interlaced else ""),
            f"frames    {self.count}" + (", cut off before its end" if self.cut_short else ""),
            f"size      {width}×{height}",
            f"duration  {seconds:.2f} s",
            f"rate      {rate:.3f} frames per second" + ("" if even else " on average, variable"),
        ]

    def _hdr(self) -> str | None:
        """Return the name of the transfer function of an HDR video; None for other videos."""
        with open_container(self.path) as (_, stream):
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
        last_good: Picture | None = None
        while last_good is None and start > 0:
            start = self.group_start(start - 1)
            with closing(self._decoded(start)) as decoded:
                for earlier, picture in decoded:
                    if earlier >= frame_index:
                        break
                    last_good = picture
        return last_good

    def _label(self, frame_index: int) -> str:
        seconds = float(self.timing.seconds(frame_index))
        return f"frame {frame_index} (at {seconds:.2f} s)"

    def _decoded(self, first: int) -> Generator[tuple[int, Picture], None, None]:
        """Yield the frames from ``first`` on that can be decoded, with their indices."""
        converter = VideoReformatter()  # shared, because a new one per frame would start threads
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
        """Decode from the key frame before ``first``, or from the beginning if seeking fails."""
        wanted = self.timing.ticks[first]
        keys = self._index.key_ticks
        group = bisect_right(keys, wanted) - 1
        if group > 0:
            with open_container(self.path) as (container, stream), suppress(av.error.FFmpegError):
                container.seek(keys[group], stream=stream, backward=True)
                frames = decoded_frames(container, stream)
                landed = next(frames, None)
                if landed is not None and landed.pts is not None and landed.pts <= wanted:
                    yield landed
                    yield from frames
                    return
        yield from self._frames_from_the_beginning()

    def _frames_from_the_beginning(self) -> Iterator[VideoFrame]:
        with open_container(self.path) as (container, stream):
            yield from decoded_frames(container, stream)


def _upright_rgb(frame: VideoFrame, converter: VideoReformatter) -> Picture | None:
    """Convert a frame to RGB and apply the rotation in its metadata; None if that fails."""
    hd = frame.colorspace == _UNSPECIFIED and frame.height >= 720  # players assume BT.709 then
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
    """Apply a display matrix, which maps (x, y) to (a·x + c·y, b·x + d·y), up to a translation."""
    a, b, _, c, d, _, _, _, _ = struct.unpack("<9i", matrix[:36])
    if abs(b) > abs(a):
        picture = picture.transpose(1, 0, 2)
        a, d = c, b
    if a < 0:
        picture = picture[:, ::-1]
    if d < 0:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)
