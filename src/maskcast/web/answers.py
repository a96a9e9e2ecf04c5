"""The server's responses: a project and its document as JSON, and errors. Imports no torch."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from maskcast.core.errors import (
    DataError,
    DeviceMemoryError,
    MaskcastError,
    MissingFileError,
    OutputError,
    RunConflictError,
    UsageError,
)
from maskcast.runs.fingerprint import ABSENT_MARK
from maskcast.web.bodies import BodyTooLargeError
from maskcast.web.document import Document
from maskcast.web.history import Entry
from maskcast.web.messages import WorkerError
from maskcast.web.project import Project
from maskcast.web.renames import list_changes
from maskcast.web.session import Session, StaleRevisionError
from maskcast.web.uploads import TooLargeError
from maskcast.web.wire import pack

STATUS: tuple[tuple[type[MaskcastError], int], ...] = (
    (StaleRevisionError, 409),
    (RunConflictError, 409),
    (TooLargeError, 413),
    (BodyTooLargeError, 413),
    (OutputError, 507),
    (MissingFileError, 404),
    (DeviceMemoryError, 503),
    (DataError, 422),
    (UsageError, 400),
)
STATUS_OF_KIND = {
    "RunConflictError": 409,
    "OutputError": 507,
    "MissingFileError": 404,
    "DeviceMemoryError": 503,
    "WorkerDied": 503,
    "TimeoutError": 503,
    "busy": 503,
}
STATUS_OF_EXIT_CODE = {2: 400, 3: 422}

logger = logging.getLogger(__name__)


def document_json(project: Project) -> dict[str, Any]:
    """Return the document in the form that the page expects, with slots instead of ids."""
    document, slots = project.document, project.slots
    return {
        "revision": project.history.revision,
        "objects": [vars(known) for known in document.objects],
        "prompts": _by_frame(project, lambda value: value != ABSENT_MARK),
        "absent": _by_frame(project, lambda value: value == ABSENT_MARK),
        "lost": _by_frame(project, lambda value: _is_lost(project, value)),
        "ends": [[at, slots[i]] for at, i in sorted(document.ends) if i in slots],
        "renames": [
            [at, "swap" if is_swap else "merge", [slots[i] for i in ids]]
            for at, is_swap, ids in list_changes(document.effective_renames())
            if all(i in slots for i in ids)
        ],
        "seen": [
            [at, slots[i], kind.split()[0]] for at, i, kind in sorted(document.seen) if i in slots
        ],
        "outdated_from": project.outdated_from(),
        "next_slot": project.next_slot,
        "undo": _step(project.history.undone),
        "redo": _step(project.history.redone),
    }


def project_json(session: Session) -> dict[str, Any] | None:
    """Return the open project; None if there is none."""
    project, jobs = session.project, session.jobs
    if project is None or jobs is None:
        return None
    opened = project.opened
    return {
        **document_json(project),
        "seq": session.events.number,
        "key": project.key,
        "name": Path(project.video.path).name,
        "run": session.root.relative(project.run),
        "video": {
            "name": Path(project.video.path).name,
            "width": opened.width,
            "height": opened.height,
            "count": project.count,
            "first": opened.first,
            "rate": opened.rate,
            "times": None if opened.times is None else pack(opened.times, "f8"),
        },
        "stamps": project.results.stamps(),
        "job": None if jobs.current is None else jobs.current.to_json(),
        "queue": [job.to_json() for job in jobs.waiting],
        "resume_after_edits": jobs.resume_after_edits,
        "command": project.command(),
        "probabilities": bool(project.card.request.settings.get("probabilities")),
        "weights": project.card.request.weights,
        "method": project.card.request.method,
        "worker": session.model.state,
        "external": None if session.watch is None else session.watch.external,
    }


def error_answer(request: Request, error: Exception) -> JSONResponse:
    """Return the response to an error, with a message for the page."""
    if isinstance(error, WorkerError):
        failure = error.failure
        status = STATUS_OF_KIND.get(failure.kind, STATUS_OF_EXIT_CODE.get(failure.exit_code, 500))
        return _error(status, failure.kind, failure.message)
    if isinstance(error, StaleRevisionError):
        session: Session = request.app.state.session
        revision = session.opened().history.revision
        return _error(409, "stale", str(error), revision=revision)
    if isinstance(error, MaskcastError):
        status = next((number for kind, number in STATUS if isinstance(error, kind)), 400)
        return _error(status, type(error).__name__, str(error))
    number = secrets.token_hex(4)
    logger.error("internal error %s", number, exc_info=error)
    return _error(500, "internal", f"internal error {number}; the log has more")


def http_answer(request: Request, error: Exception) -> JSONResponse:
    """Return the answer to a request for an address or a method that does not exist."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _error(status, "http", f"{request.method} {request.url.path} is not possible")


def stale_answer() -> JSONResponse:
    """Return the response to a request for masks that have changed since."""
    return _error(409, "stale", "the masks of this frame have changed")


def _error(status: int, kind: str, message: str, **more: Any) -> JSONResponse:
    content = {"error": {"kind": kind, "message": message}, **more}
    return JSONResponse(content, status_code=status)


def _step(entry: Entry | None) -> dict[str, Any] | None:
    return None if entry is None else {"did": entry.did, "frame": entry.frame}


def _by_frame(project: Project, wanted: Any) -> dict[str, list[int]]:
    document: Document = project.document
    by_frame: dict[str, list[int]] = {}
    for frame, values in sorted(document.prompts.items()):
        slots = _slots(project.slots, values, wanted)
        if slots:
            by_frame[str(frame)] = slots
    return by_frame


def _slots(slots: Mapping[int, int], values: Mapping[int, str], wanted: Any) -> list[int]:
    return sorted(slots[i] for i, value in values.items() if wanted(value) and i in slots)


def _is_lost(project: Project, value: str) -> bool:
    return value.startswith("mask ") and not project.masks.has(value)
