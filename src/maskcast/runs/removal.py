"""Delete files and folders that runs have created; failing to do so is an error.

A link to a folder is kept, and the run's files are deleted in its target. Imports no torch.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from maskcast.core.errors import OutputError


def remove_file(path: Path) -> None:
    """Delete a file or a link if it exists. Raises ``OutputError``."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot delete {path}: {error.strerror}") from error


def remove_folder(path: Path) -> None:
    """Delete a folder and its content; for a link, delete only the content of its target.

    Raises:
        OutputError: a file or folder cannot be deleted.
    """
    if path.is_symlink() and path.is_dir():
        for child in _children(path):
            remove(child)
    elif path.is_dir():
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise OutputError(
                f"cannot delete {error.filename or path}: {error.strerror}"
            ) from error
    else:
        remove_file(path)


def remove(path: Path) -> None:
    """Delete a file, a link, or a folder that is not a link. Raises ``OutputError``."""
    if path.is_dir() and not path.is_symlink():
        remove_folder(path)
    else:
        remove_file(path)


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise OutputError(f"cannot read {folder}: {error.strerror}") from error
