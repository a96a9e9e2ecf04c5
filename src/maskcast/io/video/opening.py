"""Open a video without torch: choose its reader, and the range of frames to read."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

from maskcast.core.errors import MissingFileError, UsageError, VideoError
from maskcast.core.numbers import LONGEST_SHOWN, shortened, whole_number
from maskcast.core.progress import Progress
from maskcast.io.video.frame_folder import FrameFolder
from maskcast.io.video.reader import OnBadFrame, PictureReader, Timing, log


def open_reader(
    path: Path, exclude: Collection[Path] = (), progress: Progress | None = None
) -> PictureReader:
    """Open a video file, or a folder of frames without the files in ``exclude``.

    ``progress`` is called with the seconds of a video file that are indexed.

    Raises:
        MissingFileError: ``path`` does not exist.
        VideoError: it is not a video, or has no frames.
    """
    require_video(path)
    if path.is_dir():
        return FrameFolder(path, exclude)
    from maskcast.io.video.file import VideoFile  # noqa: PLC0415 - needs PyAV

    return VideoFile(path, progress)


def require_video(path: Path) -> None:
    """Reject a path at which there is neither a file nor a folder.

    Raises:
        MissingFileError: ``path`` does not exist.
        VideoError: it is a pipe or a device.
    """
    if not path.is_dir() and not path.is_file():
        raise _why_no_file(path)


def frame_range(
    path: Path,
    reader: PictureReader,
    start: int | str | None,
    end: int | str | None,
    on_bad_frame: OnBadFrame,
) -> tuple[int, int]:
    """Return the first frame of a range, and the frame before which it stops.

    Args:
        path: path of the video, for messages.
        reader: reader of the video.
        start: frame index or time; None: the first frame.
        end: frame index or time to stop before; None: after the last frame.
        on_bad_frame: ``"stop"`` rejects a video that is truncated before ``end``.

    Raises:
        UsageError: ``start`` or ``end`` is invalid, or no frames lie between them.
        VideoError: the video is truncated.
    """
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
    return first, min(last, reader.count)


def cut_timing(timing: Timing | None, first: int, last: int) -> Timing | None:
    """Return the times of a range of frames; they start at 0 if the range starts later."""
    if timing is None:
        return None
    zero = timing.ticks[first] if first > 0 else 0
    return Timing(timing.time_base, tuple(tick - zero for tick in timing.ticks[first:last]))


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
