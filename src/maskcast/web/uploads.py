"""Receive a video and store it in ``uploads/`` of the root folder. Imports no torch."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from maskcast.core.errors import MaskcastError, OutputError, UsageError
from maskcast.core.files import make_folder, path_inside
from maskcast.web.folders import VIDEOS
from maskcast.web.layout import UPLOADS
from maskcast.web.messages import WorkerError
from maskcast.web.session import Session

LARGEST = 8 * 2**30
"""Default maximum size of an upload in bytes."""
CHECK_EVERY = 64 * 2**20
"""Bytes between two checks of the free disk space."""


class TooLargeError(MaskcastError):
    """An upload is larger than allowed."""


class Uploads:
    """Receives one file at a time."""

    def __init__(self, session: Session, largest: int = LARGEST) -> None:
        self.largest = largest
        self._session = session
        self._receiving = asyncio.Lock()

    async def receive(self, name: str, expected: int | None, chunks: AsyncIterator[bytes]) -> str:
        """Write a file while it is received; it gets its name when it was checked to be a video.

        Args:
            name: name of the file, from the page.
            expected: size in bytes, if the request declares it.
            chunks: content of the file.

        Returns:
            the path, relative to the root.

        Raises:
            TooLargeError: the file is too large.
            OutputError: the file cannot be written, or the disk is full.
            UsageError: the name is not that of a video, or another upload is in progress.
            WorkerError: the file is not a video.
        """
        root = self._session.root
        folder = root.path / UPLOADS
        target = path_inside(folder, name)
        if target.suffix.lower() not in VIDEOS:
            raise UsageError(f"{name} is not the name of a video ({', '.join(VIDEOS)})")
        if self._receiving.locked():
            raise UsageError("another upload is in progress; wait until it has finished")
        async with self._receiving:
            self._check(expected or 0)
            make_folder(folder)
            if folder.is_symlink():
                raise OutputError(f"{folder} must be a folder, and not a link")
            partial = folder / f".{secrets.token_hex(6)}.part{target.suffix.lower()}"
            try:
                await self._write(partial, chunks)
                await self._check_video(partial, name)
                final = _free(target)
                partial.replace(final)
            finally:
                with suppress(OSError):
                    partial.unlink(missing_ok=True)
        return root.relative(final)

    async def _write(self, partial: Path, chunks: AsyncIterator[bytes]) -> None:
        size = checked = 0
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > self.largest:
                    raise self._too_large()
                if size - checked > CHECK_EVERY:
                    self._check(0)
                    checked = size
                try:
                    await asyncio.to_thread(file.write, chunk)
                except OSError as error:
                    raise OutputError(f"cannot write the upload: {error.strerror}") from error

    async def _check_video(self, partial: Path, name: str) -> None:
        """Raise ``WorkerError`` with the name that the user knows if a file is not a video."""
        try:
            await self._session.check_video(partial)
        except WorkerError as error:
            message = error.failure.message.replace(str(partial), name)
            raise WorkerError(replace(error.failure, message=message)) from error

    def _check(self, size: int) -> None:
        if size > self.largest:
            raise self._too_large()
        self._session.root.check_space(size)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"uploads may have at most {self.largest / 2**30:.1f} GiB")


def _free(target: Path) -> Path:
    """Return an unused path: NAME, NAME-2, …"""
    path, number = target, 1
    while path.exists():
        number += 1
        path = target.with_name(f"{target.stem}-{number}{target.suffix}")
    return path
