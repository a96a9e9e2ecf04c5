"""The media worker decodes frames to JPEG and checks uploads, in a separate process.

FFmpeg may crash, hang or run out of memory on a hostile file without affecting the server. While
there are no requests, frames around the playhead are decoded in advance.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from maskcast.core.arrays import Picture
from maskcast.core.errors import FrameError
from maskcast.io.video.opening import cut_timing, frame_range, open_reader
from maskcast.runs.fingerprint import fingerprint
from maskcast.web.frame_cache import FrameCache
from maskcast.web.line import ServerLine
from maskcast.web.messages import (
    Done,
    GetPicture,
    Jpeg,
    Look,
    Opened,
    OpenVideo,
    Probe,
    Thumbnail,
    failure_of,
)

QUALITY = 85
"""Quality of JPEG, 1 to 95."""
AHEAD = 16
"""Maximum number of frames over which reading on is faster than seeking."""
PREPARED = 256
"""Number of frames around the playhead that are decoded in advance."""
SCRUBBED = 1280
"""Longest side of the frames that the page asks for first; those of smaller videos stay whole."""
THUMBNAIL = 320
"""Width of thumbnails in pixels."""
LARGEST_FILE = 2**30
MOST_FILES = 256

logger = logging.getLogger(__name__)


def main(line: ServerLine) -> None:
    """Answer requests until the server exits."""
    _limit_process()
    worker = MediaWorker()
    while True:
        while not line.is_waiting() and worker.prepare():
            pass
        asked = line.receive()
        if asked is None:
            return
        try:
            reply = worker.answer(asked.message)
        except Exception as error:
            logger.debug("media worker", exc_info=True)
            reply = failure_of(error)
        if reply is not None:
            line.send(asked.number, reply)


class MediaWorker:
    """The state of the process: the open video and the position of the playhead."""

    def __init__(self) -> None:
        self._video: _OpenVideo | None = None

    def answer(self, message: Any) -> Any:
        """Return the reply to a request; None if it has none."""
        match message:
            case OpenVideo():
                self._video = _OpenVideo(message)
                return self._video.opened
            case GetPicture(frame=frame, width=width):
                return Jpeg(content=self._opened().jpeg(frame, width))
            case Look(frame=frame, step=step):
                if self._video is not None:
                    self._video.look(frame, step)
                return None
            case Probe(path=path):
                _first_picture(Path(path))
                return Done()
            case Thumbnail(path=path):
                return Jpeg(content=_encode(_first_picture(Path(path)), THUMBNAIL))
        raise TypeError(f"unknown request {type(message).__name__}")

    def prepare(self) -> bool:
        """Decode one frame that may be requested next; return False if there is none."""
        return self._video is not None and self._video.prepare()

    def _opened(self) -> _OpenVideo:
        if self._video is None:
            raise FrameError("no video is open")
        return self._video


class _OpenVideo:
    """One video, its cache, and an iterator over its frames."""

    def __init__(self, asked: OpenVideo) -> None:
        video = asked.video
        path = Path(video.path)
        self._reader = open_reader(path)
        self._on_bad_frame = video.on_bad_frame
        self._first, self._last = frame_range(
            path, self._reader, video.start, video.end, video.on_bad_frame
        )
        self._cache = FrameCache(Path(asked.cache))
        self._pictures: Iterator[Picture] = iter(())
        self._next: int | None = None
        """Frame that the iterator yields next; None if it has ended."""
        timing = cut_timing(self._reader.timing, self._first, self._last)
        height, width = self._reader.size
        self._playhead, self._step = 0, 1
        self._usual_width = SCRUBBED if max(height, width) > SCRUBBED else 0
        self._width = self._usual_width
        self.opened = Opened(
            names=tuple(self._reader.names[self._first : self._last]),
            height=height,
            width=width,
            first=self._first,
            rate=None if timing is None else float(timing.rate),
            times=None
            if timing is None
            else tuple(float(timing.seconds(i)) for i in range(self._last - self._first)),
            sha256=fingerprint(path),
        )
        self._todo: Iterator[int] = iter(())
        self.look(0, 1)

    def jpeg(self, frame: int, width: int) -> bytes:
        """Return a frame as JPEG, and cache it."""
        self._width = width or self._usual_width  # whole frames are asked for when it stands still
        content = _encode(self._read(frame), width)
        self._cache.write(frame, width, content)
        return content

    def look(self, frame: int, step: int) -> None:
        """Decode frames in advance from a frame on, in the direction of playback."""
        count = self._last - self._first
        self._playhead, self._step = min(max(frame, 0), count - 1), -1 if step < 0 else 1
        self._todo = self._order()

    def prepare(self) -> bool:
        """Decode the next frame that is not cached; return False if all are."""
        for frame in self._todo:
            if not self._cache.has(frame, self._width):
                with suppress(FrameError):
                    self.jpeg(frame, self._width)
                return True
        return False

    def _order(self) -> Iterator[int]:
        """Yield the frames ahead of the playhead, then those behind it, in ascending runs."""
        count = self._last - self._first
        ahead = range(self._playhead, min(self._playhead + PREPARED, count))
        behind = self._playhead
        if self._step > 0:
            yield from ahead
        while behind > max(self._playhead - PREPARED, 0):
            begin = max(behind - AHEAD, 0)
            yield from range(begin, behind)
            behind = begin
        if self._step < 0:
            yield from ahead

    def _read(self, frame: int) -> Picture:
        if not 0 <= frame < self._last - self._first:
            raise FrameError(f"frame {frame} does not exist")
        begin = self._next
        if begin is None or not begin <= frame <= begin + AHEAD:
            begin = frame
            self._pictures = self._reader.pictures(
                self._first + frame, self._last, self._on_bad_frame
            )
        self._next = None  # until the frame was read
        picture = next(islice(self._pictures, frame - begin, None))
        self._next = frame + 1
        return picture


def _first_picture(path: Path) -> Picture:
    return next(iter(open_reader(path).pictures(0, 1, "hold")))


def _encode(picture: Picture, width: int) -> bytes:
    image = Image.fromarray(picture)
    if width and max(image.size) > width:
        image.thumbnail((width, width), Image.Resampling.BILINEAR, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=QUALITY)
    return buffer.getvalue()


def _limit_process() -> None:
    """Limit open files, file sizes and core dumps of this process, if the system supports it."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - not on Windows

    limits = {
        resource.RLIMIT_NOFILE: MOST_FILES,
        resource.RLIMIT_FSIZE: LARGEST_FILE,
        resource.RLIMIT_CORE: 0,
    }
    for name, limit in limits.items():
        with suppress(OSError, ValueError):
            resource.setrlimit(name, (limit, limit))
