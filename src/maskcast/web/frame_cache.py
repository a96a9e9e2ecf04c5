"""Decoded frames as JPEG files, in chunks of 64 frames; the oldest chunks are deleted first.

The server deletes the frames of the videos that it has opened when it is stopped (``session``).

FOLDER/<key of the video>/<width>/<chunk>/<frame>.jpg
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from maskcast.core.errors import MissingFileError
from maskcast.core.files import replacing
from maskcast.web.messages import VideoRange

CHUNK = 64
"""Frames per folder."""
LIMIT = 2 * 2**30
"""Maximum size of all frames in bytes."""


def cache_folder() -> Path:
    """Return the folder of decoded frames, which may not exist."""
    chosen = os.environ.get("MASKCAST_CACHE")
    return (Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "maskcast") / "frames"


def cached_path(folder: Path, frame: int, width: int) -> Path:
    """Return the path of a frame in the folder of its video."""
    return folder / str(width) / f"{frame // CHUNK:06d}" / f"{frame}.jpg"


def key_of(video: VideoRange) -> str:
    """Return the cache key of a video, which covers its path, size, time and range."""
    path = Path(video.path)
    try:
        status = path.stat()
    except OSError as error:
        raise MissingFileError(f"cannot open {path}: {error.strerror}") from error
    content = [str(path.resolve()), status.st_size, status.st_mtime_ns, vars(video)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


class FrameCache:
    """The cached frames of one video, for the process that writes them."""

    def __init__(self, folder: Path, *, limit: int = LIMIT) -> None:
        """Describe the cache of a video.

        Args:
            folder: folder of this video; its parent contains the folders of other videos.
            limit: maximum size of all videos together in bytes.
        """
        self.folder = folder
        self._limit = limit
        self._size = sum(size for _, _, size in self._chunks())

    def has(self, frame: int, width: int) -> bool:
        """Return whether a frame is cached."""
        return cached_path(self.folder, frame, width).is_file()

    def write(self, frame: int, width: int, content: bytes) -> None:
        """Store a frame; do nothing if the disk is full."""
        path = cached_path(self.folder, frame, width)
        with suppress(OSError), replacing(path) as temporary:
            temporary.write_bytes(content)
            self._size += len(content)
            os.utime(path.parent)
        if self._size > self._limit:
            self._trim(path.parent)

    def _trim(self, newest: Path) -> None:
        for _, chunk, size in sorted(self._chunks()):
            if self._size <= self._limit * 9 // 10:
                return
            if chunk != newest:
                shutil.rmtree(chunk, ignore_errors=True)
                self._size -= size

    def _chunks(self) -> Iterator[tuple[float, Path, int]]:
        """Yield the time of last use, folder and size of every chunk."""
        for chunk in self.folder.parent.glob("*/*/*"):
            with suppress(OSError):
                if not chunk.is_symlink() and chunk.is_dir():
                    size = sum(path.stat().st_size for path in chunk.iterdir())
                    yield chunk.stat().st_mtime, chunk, size
