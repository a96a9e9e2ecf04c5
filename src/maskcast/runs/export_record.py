"""Record of the masks and settings behind each export, ``exports/.made.json``. Imports no torch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskcast.core.files import write_text
from maskcast.core.strict_json import read_json
from maskcast.runs.layout import EXPORT_RECORD, EXPORTS
from maskcast.runs.removal import remove, remove_folder

NAMES = (
    *("overlay.mp4", "cutout", "cutout.mov", "cutout.webm"),
    *("masks.json", "tracks.csv", "contact_sheet.png"),
)
"""Names of exports of version 0.1, which recorded nothing."""
PROMPTS = "prompts-*.png"
"""Names of the pictures of masks and boxes that a run starts from (``runs.prompt_pictures``)."""


def parts_of(path: Path) -> Path:
    """Return the folder that holds the parts of an unfinished video."""
    return path.with_name(f".{path.name}.parts")


def remove_exports(run: Path) -> None:
    """Delete ``exports/`` of a run folder; if it is a link, only the exports in its target.

    Raises:
        OutputError: a file or folder cannot be deleted.
    """
    folder = run / EXPORTS
    if not folder.is_symlink():
        remove_folder(folder)
        return
    for name in {*NAMES, *_read(folder / EXPORT_RECORD)}:
        remove(folder / name)
        remove(parts_of(folder / name))
    for path in (folder / EXPORT_RECORD, *folder.glob(".*.part*"), *folder.glob(PROMPTS)):
        remove(path)


def exports_in(run: Path) -> set[str]:
    """Return the names of the recorded exports that exist in a run folder."""
    folder = run / EXPORTS
    return {name for name in _read(folder / EXPORT_RECORD) if (folder / name).exists()}


class ExportRecord:
    """What the exports of one run were made from, by file name: a digest, and the settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries = _read(folder / EXPORT_RECORD)

    def begin(self, path: Path, digest: str, settings: Mapping[str, Any]) -> None:
        """Record what an export about to be made is made from; delete it if that has changed.

        Args:
            path: the file or folder.
            digest: digest of the masks and of the settings.
            settings: the settings that differ from the defaults, for people to read.

        Raises:
            OutputError: the export cannot be deleted, or the record cannot be written.
        """
        if self._entries.get(path.name, {}).get("digest") == digest:
            return
        remove(path)
        remove(parts_of(path))
        self._entries[path.name] = {"digest": digest, "settings": dict(settings)}
        text = json.dumps(self._entries, indent=1, sort_keys=True) + "\n"
        write_text(self.folder / EXPORT_RECORD, text, sync=True)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the record; an unreadable record counts as empty, and so do unusable entries."""
    try:
        tree = read_json(path)
    except (OSError, ValueError, RecursionError):
        return {}
    entries = tree.items() if isinstance(tree, dict) else ()
    return {
        name: {"digest": entry.get("digest"), "settings": entry.get("settings")}
        for name, entry in entries
        if isinstance(entry, dict) and re.fullmatch(r"[\w+-][\w.+-]*", name)
    }
