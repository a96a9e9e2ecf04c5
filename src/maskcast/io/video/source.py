"""Open a video, a file or a folder of frames, and read its frames one by one.

frame     3 × height × width   RGB, 0..1, on the CPU
picture   height × width × 3   the same in 8 bits, as it was decoded

One frame is in memory at a time; ``core.overlap.read_ahead`` decodes the next ones meanwhile.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from maskcast.core.arrays import Picture
from maskcast.core.errors import MissingFileError, UsageError, VideoError
from maskcast.core.types import Frame, to_frame
from maskcast.io.video.frame_folder import FrameFolder
from maskcast.io.video.reader import OnBadFrame, PictureReader, Timing, log

BACKWARD_BYTES = 2**28
"""Memory for pictures while decoding backward; longer groups of pictures are taken in parts."""


class FrameSource:
    """The frames of a video, from ``first`` on; iterate over it as often as you like.

    Attributes:
        path: the file or folder.
        first: number, in the whole video, of the frame that is number 0 here.
        names: a name per frame, by which masks belong to frames: file names without their ending,
            or numbers (``00000``, ``00001``, ...) counted in the whole video.
        size: height and width in pixels.
        timing: presentation times, from 0 on if the beginning was left out; None for a folder.
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
        """Yield the frames from number ``start`` on.

        Raises:
            FrameError: a frame is damaged (unless held) or has another size.
        """
        return (to_frame(picture) for picture in self._pictures(start, self.count))

    def frames_backward(self, start: int | None = None) -> Iterator[Frame]:
        """Yield frame ``start`` (the last one unless given), then those before it, down to 0.

        A video file is decoded one group of pictures, or a part of it, at a time.
        """
        start = self.count - 1 if start is None else start
        return (to_frame(picture) for picture in self._pictures_backward(start))

    def pictures(self, start: int = 0) -> Iterator[Picture]:
        """Yield the frames from number ``start`` on as 8-bit pictures; raises ``FrameError``."""
        return self._pictures(start, self.count)

    def picture(self, frame_index: int) -> Picture:
        """Read one frame as an 8-bit picture.

        Raises:
            UsageError: there is no such frame.
            FrameError: it is damaged (unless held) or has another size.
        """
        if not 0 <= frame_index < self.count:
            raise UsageError(f"frame must be in [0, {self.count - 1}], got {frame_index}")
        return next(self._pictures(frame_index, frame_index + 1))

    def describe(self) -> list[str]:
        """Say in lines what the video is."""
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
        """Number of the key frame that decoding of this frame begins with."""
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
        start: the first frame wanted: its number, or a time such as ``"2.5s"`` or ``"1:02.5"``.
        end: the first frame no longer wanted, in the same way; beyond the end it means the end.
        on_bad_frame: ``"stop"`` at a frame that cannot be read, or ``"hold"`` the one before it.

    Raises:
        MissingFileError: there is nothing at ``path``.
        VideoError: it is not a video, has no frames, is cut off, or its order is ambiguous.
        UsageError: no frames lie between ``start`` and ``end``.
    """
    path = Path(path)
    reader = _open_reader(path)
    first = 0 if start is None else _frame_number(start, reader, "start")
    last = reader.count if end is None else _frame_number(end, reader, "end")
    if first >= reader.count:
        raise UsageError(
            f"start {start} is after the last frame of {path}, which is {reader.count - 1}",
            options=("start",),
        )
    if first >= last:
        raise UsageError(
            f"no frames between start {start or 0} and end {end}; end must be after start",
            options=("start", "end"),
        )
    if reader.cut_short and (end is None or last > reader.count):
        _report_cut(path, reader, on_bad_frame)
    last = min(last, reader.count)
    return FrameSource(reader, path, first=first, last=last, on_bad_frame=on_bad_frame)


def describe_video(path: Path) -> list[str]:
    """Say in lines what a video file or a folder of frames is: size, frames, rate, codec."""
    return _open_reader(path).describe()


def _open_reader(path: Path) -> PictureReader:
    if path.is_dir():
        return FrameFolder(path)
    if not path.is_file():
        raise _why_no_file(path)
    from maskcast.io.video.file import VideoFile  # noqa: PLC0415  PyAV only where it is needed

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
    """Turn a frame number or a time into a frame number."""
    text = str(position).strip()
    if text.isdecimal():
        return int(text)
    seconds = _seconds(text)
    if seconds is None:
        raise UsageError(
            f"{option} must be a frame number (120) or a time (4.5s, 1:02.5), got {text!r}",
            options=(option,),
        )
    if reader.timing is None:
        raise UsageError(
            f"{option} {text} is a time, but a folder of frames has no times; give a frame number",
            options=(option,),
        )
    timing = reader.timing
    wanted = timing.seconds(0) + seconds
    return bisect_left(timing.ticks, wanted / timing.time_base)


def _seconds(text: str) -> Fraction | None:
    """Read ``4.5s``, ``4.5``, ``1:02.5`` or ``1:00:02.5``."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)s?", text)
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(seconds)
