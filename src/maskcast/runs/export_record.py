"""Record of the masks and settings behind each export, ``exports/.made.json``. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path

from maskcast.core.files import write_text
from maskcast.core.strict_json import read_json
from maskcast.runs.layout import EXPORT_RECORD, EXPORTS
from maskcast.runs.removal import remove, remove_folder

NAMES = (
    *("overlay.mp4", "cutout", "cutout.mov", "cutout.webm"),
    *("masks.json", "tracks.csv", "contact_sheet.png"),
)
"""Names of all files and folders that exports create."""
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
    for name in NAMES:
        remove(folder / name)
        remove(parts_of(folder / name))
    for path in (folder / EXPORT_RECORD, *folder.glob(".*.part*"), *folder.glob(PROMPTS)):
        remove(path)


class ExportRecord:
    """Digests of what the exports of one run were made from, by file name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._digests = _read(folder / EXPORT_RECORD)

    def begin(self, path: Path, digest: str) -> None:
        """Record the digest of an export about to be made; delete it if made from another digest.

        Raises:
            OutputError: the export cannot be deleted, or the record cannot be written.
        """
        if self._digests.get(path.name) == digest:
            return
        remove(path)
        remove(parts_of(path))
        self._digests[path.name] = digest
        text = json.dumps(self._digests, indent=1, sort_keys=True) + "\n"
        write_text(self.folder / EXPORT_RECORD, text, sync=True)


def _read(path: Path) -> dict[str, str]:
    """Return the record; an unreadable record counts as empty."""
    try:
        tree = read_json(path)
    except (OSError, ValueError, RecursionError):
        return {}
    entries = tree.items() if isinstance(tree, dict) else ()
    return {name: digest for name, digest in entries if isinstance(digest, str)}
