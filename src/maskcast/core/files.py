"""Write files atomically, lock folders, and check names of files."""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from maskcast.core.errors import DataError, MissingFileError, OutputError, RunConflictError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
try:
    import msvcrt
except ImportError:  # everywhere else
    msvcrt = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

LONGEST_NAME = 255
"""Maximum length of a file name on common file systems, in bytes."""
LOCK_FILE = ".lock"
"""Name of the file that locks its folder on Windows."""
BETWEEN_TRIES = 0.2
"""Seconds between two attempts to lock a folder on Windows."""


@contextmanager
def replacing(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; at the end it replaces ``path``.

    A reader sees the old file or the new one, never a part of it. The temporary name starts with a
    dot and has the extension of ``path``, which some writers depend on.

    Args:
        path: the file to write; its folder is created if missing.
        sync: wait until the file is on the disk, so that it survives a power failure.

    Raises:
        OutputError: the folder cannot be written to, or the disk is full.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{secrets.token_hex(6)}.part{path.suffix}")
    try:
        yield temporary
        if sync:
            flush_to_disk(temporary)
        temporary.replace(path)
        if sync:
            flush_to_disk(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        # torch.save turns errors of the file that it writes into a RuntimeError
        reason = error.__context__ if type(error) is RuntimeError else error
        if isinstance(reason, OSError):
            ours = str(reason.filename) == str(temporary)
            why = _WRITING.get(reason.errno or 0, reason.strerror if ours else None)
            if why is not None:
                raise OutputError(f"cannot write {path}: {why}") from error
        raise


def flush_to_disk(path: Path) -> None:
    """Wait until the content of a file, or the list of files in a folder, is on the disk.

    Raises:
        OSError: the disk reports an error.
    """
    on_windows = os.name == "nt"
    if on_windows and path.is_dir():  # Windows cannot flush folders
        return
    descriptor = os.open(path, os.O_RDWR if on_windows else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(source: Path, target: Path) -> None:
    """Link a file to a second path, or copy it on file systems without hard links.

    Raises:
        OSError: the source cannot be read, or the target cannot be written.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def remove_unfinished(folder: Path) -> None:
    """Remove temporary files of ``replacing`` that killed processes left; requires ``alone_in``."""
    for path in folder.glob(".*.part*"):
        if re.match(r"\.[0-9a-f]{12}\.part", path.name):
            with suppress(OSError):
                path.unlink()


def with_home(path: str | Path) -> Path:
    """Expand ``~`` and ``~USER``; without a home folder, or for unknown users, they stay."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises an error


def make_folder(path: Path) -> None:
    """Create a folder and its parents if missing; raises ``OutputError``."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = _dangling(path) or _WRITING.get(error.errno or 0, error.strerror)
        raise OutputError(f"cannot create the folder {path}: {why}") from error


def _dangling(path: Path) -> str | None:
    """Say which part of a path is a link to something that does not exist; None if none is."""
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            return f"{part} is a link to {part.readlink()}, which does not exist"
    return None


def check_writable(folder: Path) -> None:
    """Raise ``OutputError`` if a folder is not writable; call it before long work.

    Nothing is created. A missing folder is writable if it can be created.
    """
    if (why := _dangling(folder)) is not None:
        raise OutputError(f"cannot write into {folder}: {why}")
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise OutputError(f"cannot write into {folder}: {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write into {folder}: {existing} is not writable")


@contextmanager
def alone_in(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Lock a folder for this process. The system releases the lock when the process dies.

    The lock is a ``flock`` on the folder itself; on Windows, where folders cannot be opened, it is
    on the file ``.lock`` inside, which is removed at the end. A forked child does not hold the
    lock. File systems without locks let everyone in.

    Args:
        folder: created if missing.
        wait: wait for the process that holds the lock instead of raising.

    Raises:
        RunConflictError: another process holds the lock.
        OutputError: the folder cannot be created or opened.
    """
    make_folder(folder)
    lock_file = None if fcntl is not None else folder / LOCK_FILE
    try:
        if lock_file is None:
            descriptor = os.open(folder, os.O_RDONLY)
        else:
            descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise OutputError(f"cannot open the output folder {folder}: {error.strerror}") from error
    _guards.add(descriptor)
    entered = False
    try:
        _lock(descriptor, folder, wait=wait)
        entered = True
        yield
    finally:
        if descriptor in _guards:
            _guards.remove(descriptor)
            os.close(descriptor)  # releases the lock
        if entered and lock_file is not None:
            with suppress(OSError):  # Windows does not remove a file that another process has open
                lock_file.unlink()


def _lock(descriptor: int, folder: Path, *, wait: bool) -> None:
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            _lock_on_windows(descriptor, wait=wait)
    except BlockingIOError as error:
        raise RunConflictError(
            f"another process is writing to {folder}; wait until it has finished, or choose "
            "another folder",
            options=("output",),
        ) from error
    except OSError as error:
        logger.debug("cannot lock %s: %s", folder, error)


def _lock_on_windows(descriptor: int, *, wait: bool) -> None:
    """Lock the first byte of a file. Raises ``BlockingIOError`` if another process has done so."""
    while True:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EDEADLK):
                raise
            if not wait:
                raise BlockingIOError(error.errno, error.strerror) from error
        else:
            return
        time.sleep(BETWEEN_TRIES)  # LK_LOCK would give up after ten tries


_guards: set[int] = set()
"""Descriptors of the folders that this process has locked."""


def _leave_to_parent() -> None:
    """Close the locks in a forked child, which would otherwise keep them if the parent dies."""
    while _guards:
        os.close(_guards.pop())


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_leave_to_parent)


def read_file(path: Path, *, largest: int) -> bytes:
    """Return the content of a file of at most ``largest`` bytes.

    Raises:
        MissingFileError: the file does not exist.
        DataError: the path is not a regular file (pipes and devices may never end), or is larger.
        OSError: the file cannot be read.
    """
    if not path.is_file():
        if path.exists():
            raise DataError(f"cannot read {path}: it is not a regular file")
        raise MissingFileError(f"{path} does not exist")
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise DataError(f"cannot read {path}: it is larger than {largest} bytes")
    return content


def write_bytes(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write a file atomically; raises ``OutputError``."""
    with replacing(path, sync=sync) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str, *, sync: bool = False) -> None:
    """Write a UTF-8 file atomically; raises ``OutputError``.

    Lone surrogates, which stand for bytes of file names that are not text, are written as
    ``\\udcff``, as in JSON.
    """
    write_bytes(path, content.encode(errors="backslashreplace"), sync=sync)


def path_inside(folder: Path, name: str, suffix: str = "") -> Path:
    """Return ``folder/name+suffix`` for an untrusted name of a frame, a video or an object.

    Raises:
        DataError: the name is empty, hidden, absolute or too long, leads out of the folder, or
            contains control characters.
    """
    check_name(name, suffix)
    return folder / (name + suffix)


def check_name(name: str, suffix: str = "") -> None:
    """Raise ``DataError`` unless an untrusted name is safe; see ``path_inside``."""
    shown = repr(name if len(name) <= 60 else f"{name[:57]}...")
    if not name or name.startswith("."):
        raise DataError(f"invalid name {shown}: names must not be empty or start with a dot")
    if "/" in name or "\\" in name or (len(name) > 1 and name[1] == ":"):
        raise DataError(f"invalid name {shown}: names must not contain /, \\ or a drive letter")
    if not name.isascii() or not name.isprintable():
        _check_characters(name, shown)
    length = len(os.fsencode(name + suffix))
    if length > LONGEST_NAME:
        raise DataError(
            f"invalid name {shown}: it takes {length} bytes with its suffix, but file names are "
            f"limited to {LONGEST_NAME}"
        )


def _check_characters(name: str, shown: str) -> None:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise DataError(
            f"invalid name {shown}: names must not contain a line break or another control "
            "character"
        )


_WRITING = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is exceeded",
    errno.EACCES: "the folder is not writable",
    errno.EPERM: "the folder is not writable",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "part of the path is a file, not a folder",
    errno.EEXIST: "part of the path is a file, not a folder",
    errno.EISDIR: "a folder of that name exists",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EFBIG: "the file is too large for the file system",
    errno.EIO: "the disk reported an error",
}
