"""Decoded frames as JPEG files, in chunks of 64; those used least recently are deleted first.

Every server has a folder of its own, which it deletes when it is stopped. Folders of servers that
were killed are deleted by the next one.

FOLDER/<server>/<key of the video>/<width>/<chunk>/<frame>.jpg
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from maskcast.core.errors import MaskcastError, MissingFileError
from maskcast.core.files import alone_in, replacing
from maskcast.web.messages import VideoRange

CHUNK = 64
"""Frames per folder."""
LIMIT = 2 * 2**30
"""Maximum size of all frames of a server in bytes."""


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


def read_frame(folder: Path, frame: int, width: int) -> bytes | None:
    """Return a frame from the folder of its video, or None; its chunk counts as used just now."""
    path = cached_path(folder, frame, width)
    try:
        content = path.read_bytes()
    except OSError:
        return None
    with suppress(OSError):
        os.utime(path.parent)
    return content


class ServerCache:
    """The folder of one server, which is locked while the server runs."""

    def __init__(self) -> None:
        """Choose a folder, without creating it."""
        self._folder = cache_folder() / secrets.token_hex(8)
        self._lock: ExitStack | None = None

    def folder_of(self, key: str) -> Path:
        """Return the folder of a video by its cache key.

        The first call locks the server's folder, and deletes those of servers that were killed.
        Where no folder can be created, nothing is cached.
        """
        if self._lock is None:
            self._lock = ExitStack()
            with suppress(OSError, MaskcastError):
                self._folder.mkdir(mode=0o700, parents=True)
                self._lock.enter_context(alone_in(self._folder))
                for other in self._folder.parent.iterdir():
                    _delete_if_abandoned(other)
        return self._folder / key

    def close(self) -> None:
        """Delete the frames."""
        if self._lock is not None:
            self._lock.close()
            shutil.rmtree(self._folder, ignore_errors=True)


def _delete_if_abandoned(folder: Path) -> None:
    with suppress(MaskcastError), alone_in(folder):
        shutil.rmtree(folder, ignore_errors=True)


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
