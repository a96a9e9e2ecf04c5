"""The history of a project on disk: a list of documents, and the current position in it.

    .app/history.jsonl             one line per step, undo or redo
    .app/documents/<digest>.json   the documents
    .app/masks/<hash>.png          their masks (``web.mask_files``)

An incomplete line, left by a killed process, is skipped. Imports no torch.
"""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maskcast.core.errors import DataError, OutputError
from maskcast.core.files import make_folder, write_text
from maskcast.core.strict_json import parse_json, read_json
from maskcast.runs.frame_log import DAMAGE
from maskcast.web.document import Document, digest, from_json, to_json
from maskcast.web.layout import DOCUMENTS, HISTORY

DEPTH = 500
"""Maximum number of steps that can be undone."""
MOVES = ("undo", "redo")
AMENDED = "amended"
"""Kind of lines that change the current document without a step."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One step: its description, its frame, and the document after it."""

    did: str
    frame: int | None
    document: str
    """Digest of the document."""


class EditHistory:
    """The documents of one project; ``current`` is the current one."""

    def __init__(self, folder: Path, base: Document) -> None:
        """Read the history in a run folder.

        Args:
            folder: the run folder.
            base: the first document, if there is no history.

        Raises:
            OutputError: the first document cannot be written.
        """
        self._path = folder / HISTORY
        self._documents = folder / DOCUMENTS
        self._entries: list[Entry] = []
        self._at = 0
        self._forgotten = 0
        self.revision = 0
        self._read()
        newest = self._newest_whole()
        if newest is None:
            self._entries, self._at = [Entry(did="opened", frame=None, document=digest(base))], 0
            self.current = base
            self._write_document(base)
            self._append(self._entries[0], at=0)
        else:
            self.current = newest
            self._compact()

    @property
    def undone(self) -> Entry | None:
        """The step that undo would revert."""
        return self._entries[self._at] if self._at > 0 else None

    @property
    def redone(self) -> Entry | None:
        """The step that redo would repeat."""
        return self._entries[self._at + 1] if self._at + 1 < len(self._entries) else None

    def do(self, did: str, frame: int | None, document: Document) -> None:
        """Add a step, which is on disk when this returns. Raises ``OutputError``."""
        entry = Entry(did=did, frame=frame, document=digest(document))
        self._write_document(document)
        at = self._at + 1
        self._append(entry, at=at)
        entries = [*self._entries[:at], entry]
        self._forgotten += max(0, len(entries) - (DEPTH + 1))
        self._entries = entries[-(DEPTH + 1) :]
        self._at, self.current = len(self._entries) - 1, document

    def amend(self, document: Document) -> None:
        """Change the current document without a step. Raises ``OutputError``."""
        now = self._entries[self._at]
        entry = Entry(did=AMENDED, frame=None, document=digest(document))
        self._write_document(document)
        self._append(entry, at=self._at)
        self._entries[self._at] = Entry(did=now.did, frame=now.frame, document=entry.document)
        self.current = document

    def move(self, direction: str) -> Entry | None:
        """Undo or redo one step and return it; return None if there is none.

        Raises:
            DataError: the document cannot be read.
            OutputError: the position cannot be written.
        """
        step = self.undone if direction == "undo" else self.redone
        if step is None:
            return None
        at = self._at - 1 if direction == "undo" else self._at + 1
        document = self._load(self._entries[at].document).carried(self.current)
        entry = Entry(did=direction, frame=step.frame, document=digest(document))
        self._write_document(document)
        self._append(entry, at=at)
        before = self._entries[at]
        self._entries[at] = Entry(did=before.did, frame=before.frame, document=entry.document)
        self._at, self.current = at, document
        return step

    def documents(self) -> list[Document]:
        """Return all readable documents, the oldest first."""
        documents = []
        for name in dict.fromkeys(entry.document for entry in self._entries):
            with suppress(DataError):
                documents.append(self._load(name))
        return documents

    def _read(self) -> None:
        with suppress(OSError), self._path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                with suppress(*DAMAGE):
                    self._take(parse_json(line))

    def _take(self, tree: Any) -> None:
        number, at = int(tree["n"]), int(tree["at"])
        frame = None if tree["frame"] is None else int(tree["frame"])
        entry = Entry(did=str(tree["did"]), frame=frame, document=str(tree["document"]))
        if not 0 <= at <= len(self._entries):
            raise ValueError(at)
        if entry.did in (*MOVES, AMENDED):
            before = self._entries[at]
            self._entries[at] = Entry(did=before.did, frame=before.frame, document=entry.document)
        else:
            self._entries = [*self._entries[:at], entry]
        self._at = at
        self.revision = max(self.revision, number)

    def _newest_whole(self) -> Document | None:
        """Return the current document, or the latest earlier one that is intact."""
        self._cut_to_depth()
        while self._entries:
            with suppress(DataError):
                return self._load(self._entries[self._at].document)
            del self._entries[self._at :]
            self._at -= 1
        return None

    def _cut_to_depth(self) -> None:
        first = max(0, min(len(self._entries) - (DEPTH + 1), self._at))
        self._entries, self._at = self._entries[first:], self._at - first

    def _compact(self) -> None:
        """Rewrite the history without outdated lines, and delete unused documents."""
        lines = [self._line(e, self.revision, at) for at, e in enumerate(self._entries)]
        self.revision += 1
        now = self._entries[self._at]
        moved = Entry(did=AMENDED, frame=None, document=now.document)
        lines.append(self._line(moved, self.revision, self._at))
        write_text(self._path, "".join(lines), sync=True)
        kept = {entry.document for entry in self._entries}
        for path in self._documents.glob("*.json"):
            if path.stem not in kept:
                with suppress(OSError):
                    path.unlink()

    def _append(self, entry: Entry, *, at: int) -> None:
        """Append a line, which is on disk when this returns."""
        at += self._forgotten  # the file still has the steps that can no longer be undone
        make_folder(self._path.parent)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n" + self._line(entry, self.revision + 1, at))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            why = "the disk is full" if error.errno in _FULL else error.strerror
            raise OutputError(f"cannot write {self._path}: {why}") from error
        self.revision += 1

    def _line(self, entry: Entry, number: int, at: int) -> str:
        tree = {"n": number, "did": entry.did, "frame": entry.frame}
        return json.dumps({**tree, "document": entry.document, "at": at}, ensure_ascii=False) + "\n"

    def _write_document(self, document: Document) -> None:
        path = self._documents / f"{digest(document)}.json"
        if not path.is_file():
            write_text(path, json.dumps(to_json(document), ensure_ascii=False), sync=True)

    def _load(self, name: str) -> Document:
        """Return a document. Raises ``DataError``."""
        if not name.isalnum():
            raise DataError(f"invalid document {name!r}")
        try:
            document = from_json(read_json(self._documents / f"{name}.json"))
        except (OSError, *DAMAGE) as error:
            raise DataError(f"cannot read document {name}: {error}") from error
        if digest(document) != name:
            raise DataError(f"document {name} was changed")
        return document


_FULL = (errno.ENOSPC, errno.EDQUOT)
