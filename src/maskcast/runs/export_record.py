"""Which masks and settings each export was made from: ``exports/.made.json``. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path

from maskcast.core.files import write_text
from maskcast.runs.layout import EXPORT_RECORD, EXPORTS
from maskcast.runs.removal import remove, remove_folder

NAMES = (
    *("overlay.mp4", "cutout", "cutout.mov", "cutout.webm"),
    *("masks.json", "tracks.csv", "contact_sheet.png"),
)
"""Every file or folder that exports make."""


def parts_of(path: Path) -> Path:
    """Return the folder in which an unfinished video keeps its parts."""
    return path.with_name(f".{path.name}.parts")


def remove_exports(run: Path) -> None:
    """Delete ``exports/`` of a run folder; if it is a link, only exports in the folder behind it.

    Raises:
        OutputError: something cannot be deleted.
    """
    folder = run / EXPORTS
    if not folder.is_symlink():
        remove_folder(folder)
        return
    for name in NAMES:
        remove(folder / name)
        remove(parts_of(folder / name))
    for path in (folder / EXPORT_RECORD, *folder.glob(".*.part*")):
        remove(path)


class ExportRecord:
    """The digests that the exports of one run were made with, by file name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._digests = _read(folder / EXPORT_RECORD)

    def begin(self, path: Path, digest: str) -> None:
        """Note what an export is about to be made from, and delete one made from anything else.

        Raises:
            OutputError: it cannot be deleted, or the record cannot be written.
        """
        if self._digests.get(path.name) == digest:
            return
        remove(path)
        remove(parts_of(path))
        self._digests[path.name] = digest
        text = json.dumps(self._digests, indent=1, sort_keys=True) + "\n"
        write_text(self.folder / EXPORT_RECORD, text, sync=True)


def _read(path: Path) -> dict[str, str]:
    """Return the record; an unreadable one says nothing about any file."""
    try:
        tree = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    entries = tree.items() if isinstance(tree, dict) else ()
    return {name: digest for name, digest in entries if isinstance(digest, str)}
