"""Open a video file or a folder of frames, and read its frames one by one.

frame     3 × height × width   RGB, 0..1, on the CPU
picture   height × width × 3   RGB, 8 bits, as decoded

Only one frame is in memory at a time; ``core.overlap.read_ahead`` can decode the next ones in a
thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path

from maskcast.core.arrays import Picture
from maskcast.core.errors import UsageError
from maskcast.core.progress import Progress
from maskcast.core.types import Frame, to_frame
from maskcast.io.video.frame_folder import FrameFolder
from maskcast.io.video.opening import cut_timing, frame_range, open_reader
from maskcast.io.video.reader import OnBadFrame, PictureReader

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
        begin: time of the first frame in the file, in seconds; 0 for a folder.
    """

    def __init__(
        self, reader: PictureReader, path: Path, *, first: int, last: int, on_bad_frame: OnBadFrame
    ) -> None:
        self.path = path
        self.first = first
        self.names = reader.names[first:last]
        self.size = reader.size
        self.timing = cut_timing(reader.timing, first, last)
        self.begin = Fraction(0) if reader.timing is None else reader.timing.seconds(first)
        self._reader = reader
        self._on_bad_frame = on_bad_frame

    @property
    def count(self) -> int:
        """Number of frames."""
        return len(self.names)

    @property
    def icc_profile(self) -> bytes | None:
        """The colour profile of a folder of frames, as its first picture has it; usually None."""
        return self._reader.icc_profile if isinstance(self._reader, FrameFolder) else None

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

    def part(self, first: int, last: int) -> FrameSource:
        """Return the frames ``first`` ≤ i < ``last`` as a source of their own.

        Raises:
            UsageError: there are no such frames.
        """
        if not 0 <= first < last <= self.count:
            raise UsageError(
                f"frames {first} to {last} do not exist; there are {self.count} frames"
            )
        return FrameSource(
            self._reader,
            self.path,
            first=self.first + first,
            last=self.first + last,
            on_bad_frame=self._on_bad_frame,
        )

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
    exclude: Collection[Path] = (),
    progress: Progress | None = None,
) -> FrameSource:
    """Open a video file (mp4, mov, mkv, webm, avi) or a folder of frames (jpg, png).

    Args:
        path: the file or folder.
        start: first frame to read: its index, or a time such as ``"2.5s"`` or ``"1:02.5"``.
        end: frame or time to stop before, in the same form; may lie after the end of the video.
        on_bad_frame: ``"stop"`` raises at an unreadable frame, ``"hold"`` repeats the frame before.
        exclude: files in a folder of frames that are not frames, such as masks.
        progress: called with the seconds of a video file that are indexed.

    Raises:
        MissingFileError: ``path`` does not exist.
        VideoError: ``path`` is not a video, has no frames, is truncated, or the order of its frames
            is ambiguous.
        UsageError: ``start`` or ``end`` is invalid, or no frames lie between them.
    """
    path = Path(path)
    reader = open_reader(path, exclude, progress)
    first, last = frame_range(path, reader, start, end, on_bad_frame)
    return FrameSource(reader, path, first=first, last=last, on_bad_frame=on_bad_frame)


def describe_video(path: Path, progress: Progress | None = None) -> list[str]:
    """Return lines that describe a video file or a folder of frames: size, frames, rate, codec."""
    return open_reader(path, progress=progress).describe()
