"""Marks that the command line has put on the run card of a project. Imports no torch.

The application notes which marks it has seen on the card. Marks on the card that differ from the
note, and from every document of the history, are those of another program.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from maskcast.core.files import write_text
from maskcast.core.strict_json import read_json
from maskcast.runs.frame_log import DAMAGE
from maskcast.runs.identity import digest_of
from maskcast.runs.request import RunRequest
from maskcast.web.document import Document, DocumentObject
from maskcast.web.first_document import marks_on_card
from maskcast.web.layout import SEEN_MARKS


def note_marks(run: Path, request: RunRequest) -> None:
    """Record that the application has seen the marks on the card. Raises ``OutputError``."""
    digest = digest_of(request.prompts)
    if _noted(run) != digest:
        write_text(run / SEEN_MARKS, json.dumps({"digest": digest}) + "\n")


def has_foreign_marks(run: Path, request: RunRequest, documents: Iterable[Document]) -> bool:
    """Return whether the marks on the card are new to the application.

    Args:
        run: the run folder.
        request: the request on its card.
        documents: the documents of the history.
    """
    if _noted(run) in (None, digest_of(request.prompts)):
        return False
    back = request.goes_backward
    return all(known.marks(goes_backward=back) != request.prompts for known in documents)


def with_foreign_marks(
    document: Document, request: RunRequest, new_object: Callable[[int], DocumentObject]
) -> Document:
    """Return a document with the marks on the card in place of its own.

    Args:
        document: the document, whose objects and seen flags are kept.
        request: the request on the card.
        new_object: makes an object with an id. It may raise ``UsageError``.
    """
    marks = marks_on_card(request)
    known = {one.id for one in document.objects}
    ids = {i for values in marks.prompts.values() for i in values} - known
    objects = (*document.objects, *(new_object(i) for i in sorted(ids)))
    return replace(marks, objects=objects, seen=document.seen)


def _noted(run: Path) -> str | None:
    """Return the digest of the marks that were seen last; None if there is none."""
    try:
        return str(read_json(run / SEEN_MARKS)["digest"])
    except (OSError, *DAMAGE):
        return None
