"""Determine video, run folder and weights of a request to open a project. Imports no torch."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse

from maskcast.core.errors import MaskcastError, UsageError
from maskcast.io.weights.names import installed_weights
from maskcast.methods.catalogue import DEFAULT_WEIGHTS, METHODS
from maskcast.runs.card import read_card
from maskcast.web.session import Session, ToOpen
from maskcast.web.wire import Fields

BAD_FRAMES = ("stop", "hold")
"""Settings for frames that cannot be read."""


def known_weights() -> list[dict[str, Any]]:
    """Return the weights that a project can be opened with."""
    weights = []
    for known in installed_weights():
        method = METHODS.get(known.method)
        weights.append(
            {
                "name": known.name,
                "method": known.method,
                "summary": method.title if method else known.method,
                "licence": str(known.card.get("licence", "")),
                "default": known.name == DEFAULT_WEIGHTS,
            }
        )
    return weights


def to_open(session: Session, fields: Fields, named: Path | None) -> ToOpen:
    """Return the video, run folder and weights to open.

    Raises:
        UsageError: neither a video nor a run is given, or a path is outside the root.
        MissingFileError: a path does not exist.
    """
    given_run, given_video = fields.optional_text("run"), fields.optional_text("video")
    segmenter = session.choice
    if fields.has("weights") or fields.has("method"):
        segmenter = replace(
            segmenter,
            weights=fields.optional_text("weights", 200),
            method=fields.optional_text("method", 60),
        )
    if options := fields.mapping("options"):
        segmenter = replace(segmenter, options=options)
    if given_video is not None:
        video = session.root.inside(given_video)
        run = find_run(session, video) if given_run is None else session.root.would_be(given_run)
    elif given_run is not None:
        run, video = _reopened(session, given_run) or _run_of(session, given_run, named)
    else:
        raise UsageError("give a video or a run folder")
    holds = fields.has("on_bad_frame") and fields.choice("on_bad_frame", BAD_FRAMES) == "hold"
    return ToOpen(
        video=video,
        run=run,
        segmenter=segmenter,
        start=fields.optional_text("start", 40),
        end=fields.optional_text("end", 40),
        on_bad_frame="hold" if holds else None,
    )


def _reopened(session: Session, path: str) -> tuple[Path, Path] | None:
    """Return the open run and its video, which may be outside the root, if they are asked for."""
    project = session.project
    if project is None or path != session.root.relative(project.run):
        return None
    return project.run, Path(project.video.path)


def _run_of(session: Session, path: str, named: Path | None) -> tuple[Path, Path]:
    run = session.root.inside(path)
    return run, session.root.video_of(run, named)


def find_run(session: Session, video: Path) -> Path:
    """Return the run folder of a video: an existing one below the root, or a new one."""
    for path in session.root.runs_of(video):
        with suppress(MaskcastError):
            card = read_card(path)
            if card is not None and session.root.video_of(path, video).samefile(video):
                return path
    return session.root.free_run(video)


def with_suggestion(session: Session, answer: JSONResponse, fields: Fields) -> JSONResponse:
    """Add the path of an unused folder to the response to a conflict."""
    content = json.loads(bytes(answer.body))
    with suppress(MaskcastError):
        video = session.root.inside(fields.text("video"))
        content["suggestion"] = session.root.relative(session.root.free_run(video))
    return JSONResponse(content, status_code=answer.status_code)
