"""Open a video file or a folder of frames, and read its frames one by one.

frame     3 × height × width   RGB, 0..1, on the CPU
picture   height × width × 3   RGB, 8 bits, as decoded

Only one frame is in memory at a time; ``core.overlap.read_ahead`` can decode the next ones in a
thread.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from maskcast.core.arrays import Picture
from maskcast.core.errors import MissingFileError, UsageError, VideoError
from maskcast.core.numbers import LONGEST_SHOWN, shortened, whole_number
from maskcast.core.types import Frame, to_frame
from maskcast.io.video.frame_folder import FrameFolder
from maskcast.io.video.reader import OnBadFrame, PictureReader, Timing, log

BACKWARD_BYTES = 2**28
"""Bytes of pictures in memory while reading backward; longer groups are decoded in parts."""


class FrameSource:
    """The frames of a video or of a range of it; it can be iterated over repeatedly.

    Attributes:
        path: the file or folder.
        first: index in the whole video of frame 0 of the range.
        names: a name per frame, which assigns masks to frames: file names without extension, or
            frame indices in the whole video (``00000``, ``00001``, ...).
        size: height and width in pixels.
        timing: presentation times, starting at 0 if the range starts later; None for a folder.
    """

    def __init__(
        self, reader: PictureReader, path: Path, *, first: int, last: int, on_bad_frame: OnBadFrame
    ) -> None:
        self.path = path
        self.first = first
        self.names = reader.names[first:last]
        self.size = reader.size
        self.timing = _cut_timing(reader.timing, first, last)
        self._reader = reader
        self._on_bad_frame = on_bad_frame

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.names)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Yield the frames from index ``start`` on.

        Raises:
            FrameError: a frame has another size, or is damaged and ``on_bad_frame`` is ``"stop"``.
        """
        return (to_frame(picture) for picture in self._pictures(start, self.count))

    def frames_backward(self, start: int | None = None) -> Iterator[Frame]:
        """Yield the frames backward from index ``start`` (default: the last one) to 0.

        Video files are decoded one group of pictures, or a part of it, at a time.
        """
        start = self.count - 1 if start is None else start
        return (to_frame(picture) for picture in self._pictures_backward(start))

    def pictures(self, start: int = 0) -> Iterator[Picture]:
        """Yield the frames from index ``start`` on as 8-bit pictures; raises ``FrameError``."""
        return self._pictures(start, self.count)

    def picture(self, frame_index: int) -> Picture:
        """Read one frame as an 8-bit picture.

        Raises:
            UsageError: the frame does not exist.
            FrameError: the frame has another size, or is damaged and ``on_bad_frame`` is
                ``"stop"``.
        """
        if not 0 <= frame_index < self.count:
            raise UsageError(f"frame must be in [0, {self.count - 1}], got {frame_index}")
        return next(self._pictures(frame_index, frame_index + 1))

    def describe(self) -> list[str]:
        """Return lines that describe the whole video."""
        return self._reader.describe()

    def _pictures(self, start: int, stop: int) -> Iterator[Picture]:
        return self._reader.pictures(self.first + start, self.first + stop, self._on_bad_frame)

    def _pictures_backward(self, start: int) -> Iterator[Picture]:
        height, width = self.size
        stretch = max(8, BACKWARD_BYTES // (3 * height * width))
        stop = start + 1
        while stop > 0:
            begin = max(stop - stretch, self._group_start(stop - 1))
            yield from reversed(list(self._pictures(begin, stop)))
            stop = begin

    def _group_start(self, frame_index: int) -> int:
        """Return the index of the key frame from which a frame must be decoded."""
        return max(0, self._reader.group_start(self.first + frame_index) - self.first)


def open_frames(
    path: Path | str,
    *,
    start: int | str | None = None,
    end: int | str | None = None,
    on_bad_frame: OnBadFrame = "stop",
) -> FrameSource:
    """Open a video file (mp4, mov, mkv, webm, avi) or a folder of frames (jpg, png).

    Args:
        path: the file or folder.
        start: first frame to read: its index, or a time such as ``"2.5s"`` or ``"1:02.5"``.
        end: frame or time to stop before, in the same form; may lie after the end of the video.
        on_bad_frame: ``"stop"`` raises at an unreadable frame, ``"hold"`` repeats the frame before.

    Raises:
        MissingFileError: ``path`` does not exist.
        VideoError: ``path`` is not a video, has no frames, is truncated, or the order of its frames
            is ambiguous.
        UsageError: ``start`` or ``end`` is invalid, or no frames lie between them.
    """
    path = Path(path)
    reader = _open_reader(path)
    first = 0 if start is None else _frame_number(start, reader, "start")
    last = reader.count if end is None else _frame_number(end, reader, "end")
    if first >= reader.count:
        raise UsageError(
            f"start {shortened(start)} is after the last frame of {path}, which is "
            f"{reader.count - 1}",
            options=("start",),
        )
    if first >= last:
        raise UsageError(
            f"no frames between start {shortened(start or 0)} and end {shortened(end)}; end must "
            "be after start",
            options=("start", "end"),
        )
    if reader.cut_short and (end is None or last > reader.count):
        _report_cut(path, reader, on_bad_frame)
    last = min(last, reader.count)
    return FrameSource(reader, path, first=first, last=last, on_bad_frame=on_bad_frame)


def describe_video(path: Path) -> list[str]:
    """Return lines that describe a video file or a folder of frames: size, frames, rate, codec."""
    return _open_reader(path).describe()


def _open_reader(path: Path) -> PictureReader:
    if path.is_dir():
        return FrameFolder(path)
    if not path.is_file():
        raise _why_no_file(path)
    from maskcast.io.video.file import VideoFile  # noqa: PLC0415 - needs PyAV

    return VideoFile(path)


def _why_no_file(path: Path) -> VideoError | MissingFileError:
    if path.exists() or str(path) == "-":
        return VideoError(
            f"{path} is not a regular file; a video is read twice, so pipes and devices are not "
            "supported; save it as a file first"
        )
    if url := re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/(.*)", str(path)):  # Path drops a slash
        return MissingFileError(
            f"URLs are not supported ({url[1]}://{url[2]}); download the video first"
        )
    return MissingFileError(f"video {path} does not exist")


def _report_cut(path: Path, reader: PictureReader, on_bad_frame: OnBadFrame) -> None:
    fault = f"{path} is cut off after frame {reader.count - 1}"
    if on_bad_frame == "stop":
        raise VideoError(
            f"{fault}; to use the frames before that, set end to {reader.count} or on_bad_frame "
            "to 'hold'",
            options=("end", "on_bad_frame"),
        )
    log.warning("%s", fault)


def _cut_timing(timing: Timing | None, first: int, last: int) -> Timing | None:
    if timing is None:
        return None
    zero = timing.ticks[first] if first > 0 else 0
    return Timing(timing.time_base, tuple(tick - zero for tick in timing.ticks[first:last]))


def _frame_number(position: int | str, reader: PictureReader, option: str) -> int:
    """Return the frame index of a frame number or a time."""
    text = str(position).strip()
    if (number := whole_number(text)) is not None:
        return number
    seconds = _seconds(text)
    if seconds is None:
        raise UsageError(
            f"{option} must be a frame number (120) or a time (4.5s, 1:02.5), got "
            f"{shortened(text)!r}",
            options=(option,),
        )
    if reader.timing is None:
        raise UsageError(
            f"{option} {shortened(text)} is a time, but a folder of frames has no times; give a "
            "frame number",
            options=(option,),
        )
    timing = reader.timing
    wanted = timing.seconds(0) + seconds
    return bisect_left(timing.ticks, wanted / timing.time_base)


def _seconds(text: str) -> Fraction | None:
    """Parse a time such as ``4.5s``, ``4.5``, ``1:02.5`` or ``1:00:02.5`` into seconds."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)s?", text, re.ASCII)
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    if max(len(part or "") for part in match.groups()) > LONGEST_SHOWN:
        return None
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(seconds)
