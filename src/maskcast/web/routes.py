"""The endpoints of the server (docs/app.md), all behind ``web.guard``. Imports no torch."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from maskcast.core.errors import MissingFileError, UsageError
from maskcast.web import edits, opening
from maskcast.web.answers import error_answer, http_answer, project_json, stale_answer
from maskcast.web.bodies import fields_of, whole_in_query
from maskcast.web.document import MOST_OBJECTS
from maskcast.web.downloads import Tickets, archive, find_download
from maskcast.web.exports_list import OFFERS, OPTIONS, export_of, listed
from maskcast.web.flagging import flags_of
from maskcast.web.frame_cache import read_frame
from maskcast.web.messages import TrackingDirection
from maskcast.web.project import Project
from maskcast.web.session import Session
from maskcast.web.uploads import Uploads
from maskcast.web.wire import MOST_MASK, png_of_slots, slots_png, to_slots

STATIC = Path(__file__).parent / "static"
WIDTHS = (0, 640, 1280, 1920)
IMMUTABLE = {"cache-control": "private, max-age=31536000, immutable"}
LARGEST_INDEX = 2**31


def application(session: Session, *, named: Path | None = None, most_upload: int) -> Starlette:
    """Return the application without its guard.

    Args:
        session: the session to serve.
        named: the video given on the command line, which may be outside the root.
        most_upload: maximum size of an upload in bytes.
    """
    app = Starlette(routes=ROUTES, exception_handlers={HTTPException: http_answer})
    app.add_middleware(_Explained)
    app.state.session = session
    app.state.named = named
    app.state.tickets = Tickets()
    app.state.uploads = Uploads(session, most_upload)
    return app


class _Explained:
    """Converts errors to responses; Starlette alone would log and raise some of them."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        begun = False

        async def sending(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            if begun:
                raise
            await error_answer(Request(scope), error)(scope, receive, send)


async def hello(request: Request) -> Response:
    session = _session(request)
    weights = await run_in_threadpool(opening.known_weights)
    return JSONResponse(
        {
            "seq": session.events.number,
            "version": version("maskcast"),
            "build": version("maskcast"),
            "protocol": 1,
            "root": session.root.path.name,
            "limits": {
                "upload": request.app.state.uploads.largest,
                "mask": MOST_MASK,
                "objects": MOST_OBJECTS,
            },
            "weights": weights,
            **listed(),
            "project": project_json(session),
        }
    )


async def folder(request: Request) -> Response:
    path = request.query_params.get("path", "")
    return JSONResponse(await run_in_threadpool(_session(request).root.listing, path))


async def recent(request: Request) -> Response:
    return JSONResponse({"runs": await run_in_threadpool(_session(request).root.recent)})


async def thumbnail(request: Request) -> Response:
    session = _session(request)
    run = session.root.inside(request.query_params.get("path", ""))
    video = await run_in_threadpool(session.root.video_of, run, request.app.state.named)
    return Response(await session.thumbnail(video), media_type="image/jpeg")


async def upload(request: Request) -> Response:
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdecimal() else None
    uploads: Uploads = request.app.state.uploads
    path = await uploads.receive(request.path_params["name"], size, request.stream())
    return JSONResponse({"path": path})


async def open_project(request: Request) -> Response:
    session = _session(request)
    fields = await fields_of(request, "video start end run weights method options on_bad_frame")
    try:
        asked = await run_in_threadpool(opening.to_open, session, fields, request.app.state.named)
        await session.open(asked)
    except Exception as error:
        answer = error_answer(request, error)
        if answer.status_code != 409 or not fields.has("video"):
            raise
        return opening.with_suggestion(session, answer, fields)
    return JSONResponse(project_json(session))


async def get_project(request: Request) -> Response:
    return JSONResponse(project_json(_session(request)))


async def close_project(request: Request) -> Response:
    await _session(request).close()
    return JSONResponse({})


async def frame(request: Request) -> Response:
    session = _session(request)
    project = _keyed(request, session)
    number = _frame(request, project)
    width = whole_in_query(request, "w", max(WIDTHS)) or 0
    if width not in WIDTHS:
        raise UsageError(f"w must be one of {', '.join(map(str, WIDTHS[1:]))}")
    folder = session.frames.folder_of(project.cache_key)
    content = await asyncio.to_thread(read_frame, folder, number, width)
    if content is None:
        content = await session.picture(number, width)
    return Response(content, media_type="image/jpeg", headers=IMMUTABLE)


async def labels(request: Request) -> Response:
    project = _keyed(request, _session(request))
    number = _frame(request, project)
    stamp = project.results.stamp(number)
    if stamp is None:
        return Response(status_code=204)
    if request.query_params.get("s", stamp) != stamp:
        return stale_answer()
    half = request.query_params.get("half") == "1"
    try:
        content = await run_in_threadpool(_labels, project, number, half)
    except (FileNotFoundError, MissingFileError):  # set aside or brought back in this moment
        return stale_answer()
    if project.results.stamp(number) != stamp:
        return stale_answer()
    return Response(content, media_type="image/png", headers=IMMUTABLE)


async def prompts(request: Request) -> Response:
    project = _session(request).opened()
    number = _frame(request, project)
    document = project.document

    def read() -> bytes | None:
        label_map = project.prompts.label_map(document, number, project.size)
        return None if label_map is None else slots_png(to_slots(label_map, project.slots))

    content = await run_in_threadpool(read)
    if content is None:
        return Response(status_code=204)
    return Response(content, media_type="image/png")


async def exports(_: Request) -> Response:
    return JSONResponse(listed())


async def add_job(request: Request) -> Response:
    session = _session(request)
    project = session.opened()
    fields = await fields_of(request, "what direction until exports options span")
    await session.refuse_others()
    if session.jobs is None:
        raise UsageError("the project was closed")
    if fields.choice("what", ("track", "export")) == "track":
        choices: tuple[TrackingDirection, ...] = ("forward", "backward", "both")
        direction = choices[choices.index(fields.choice("direction", choices))]
        until = fields.whole("until", 0, project.count - 1) if fields.has("until") else None
        return JSONResponse(session.jobs.track(direction, until).to_json())
    names = tuple(map(str, fields.list_of("exports", (str,), len(OFFERS))))
    span = _span(project, fields.list_of("span", (int,), 2)) if fields.has("span") else None
    options = fields.values("options", len(OPTIONS) + 1)
    return JSONResponse(session.jobs.export(export_of(names, options, span)).to_json())


async def change_jobs(request: Request) -> Response:
    session = _session(request)
    session.opened()
    assert session.jobs is not None
    fields = await fields_of(request, "resume_after_edits")
    session.jobs.resume_after_edits = fields.flag("resume_after_edits")
    return JSONResponse({"resume_after_edits": session.jobs.resume_after_edits})


async def stop_job(request: Request) -> Response:
    session = _session(request)
    session.opened()
    assert session.jobs is not None
    return JSONResponse(session.jobs.stop(request.path_params["id"]).to_json())


async def tracks(request: Request) -> Response:
    session = _session(request)
    tracks = session.opened().results.tracks(session.opened().slots)
    return JSONResponse({"seq": session.events.number, "slots": tracks})


async def flags(request: Request) -> Response:
    project = _session(request).opened()
    return JSONResponse({"flags": await run_in_threadpool(flags_of, project)})


async def issue_ticket(request: Request) -> Response:
    session = _session(request)
    project, span = session.opened(), None if session.jobs is None else session.jobs.span
    file = (await fields_of(request, "file")).text("file", 100)
    chosen = await run_in_threadpool(find_download, project, file, project.run.name, span)
    tickets: Tickets = request.app.state.tickets
    return JSONResponse({"path": tickets.issue(chosen)})


async def download(request: Request) -> Response:
    tickets: Tickets = request.app.state.tickets
    chosen = tickets.use(request.path_params["ticket"], request.path_params["name"])
    if chosen is None:
        return Response("this address is no longer valid", status_code=404)
    if chosen.file is not None:
        return FileResponse(chosen.file, filename=chosen.name)
    disposition = {"content-disposition": f"attachment; filename*=UTF-8''{quote(chosen.name)}"}
    return StreamingResponse(
        archive(chosen.members), media_type="application/zip", headers=disposition
    )


async def look(request: Request) -> Response:
    fields = await fields_of(request, "frame step")
    number = fields.whole("frame", 0, LARGEST_INDEX)
    _session(request).look(number, fields.whole("step", -LARGEST_INDEX, LARGEST_INDEX))
    return Response(status_code=204)


async def events(request: Request) -> Response:
    after = whole_in_query(request, "after", LARGEST_INDEX)
    stream = _session(request).events.stream(after)
    return StreamingResponse(stream, media_type="application/x-ndjson")


async def static(request: Request) -> Response:
    name = request.url.path.lstrip("/") or "index.html"
    return FileResponse(STATIC / name, headers={"cache-control": "no-cache"})


def _session(request: Request) -> Session:
    session: Session = request.app.state.session
    return session


def _keyed(request: Request, session: Session) -> Project:
    """Return the project if its key is in the URL."""
    project = session.opened()
    if request.path_params["key"] != project.key:
        raise UsageError("another project is open now")
    return project


def _frame(request: Request, project: Project) -> int:
    number: int = request.path_params["frame"]
    if number >= project.count:
        raise UsageError(f"frame must be in [0, {project.count - 1}], got {number}")
    return number


def _span(project: Project, ends: list[Any]) -> tuple[int, int]:
    """Return the first frame and the frame after the last. Raises ``UsageError``."""
    if len(ends) != 2 or not 0 <= ends[0] <= ends[1] < project.count:
        raise UsageError(f"span must be two frames in [0, {project.count - 1}], in order")
    return ends[0], ends[1] + 1


def _labels(project: Project, number: int, half: bool) -> bytes:
    results, slots = project.results, project.slots
    path = results.path(number)
    if not half and path is not None and all(i == slots.get(i, i) for i in results.ids()):
        content = png_of_slots(path, project.size)
        if content is not None:
            return content
    label_map = to_slots(results.read(number), slots)
    return slots_png(np.ascontiguousarray(label_map[::2, ::2]) if half else label_map)


ROUTES = [
    Route("/", static),
    Route("/app.js", static),
    Route("/app.css", static),
    Route("/icon.svg", static),
    Route("/api/hello", hello),
    Route("/api/folder", folder),
    Route("/api/recent", recent),
    Route("/api/recent/thumbnail.jpg", thumbnail),
    Route("/api/uploads/{name}", upload, methods=["PUT"]),
    Route("/api/project", open_project, methods=["POST"]),
    Route("/api/project", get_project, methods=["GET"]),
    Route("/api/project", close_project, methods=["DELETE"]),
    Route("/api/frames/{key}/{frame:int}.jpg", frame),
    Route("/api/labels/{key}/{frame:int}.png", labels),
    Route("/api/prompts/{frame:int}.png", prompts),
    Route("/api/prompts/{frame:int}", edits.put_prompts, methods=["PUT"]),
    Route("/api/prompts/{frame:int}", edits.delete_prompts, methods=["DELETE"]),
    Route("/api/boxes", edits.add_box, methods=["POST"]),
    Route("/api/objects", edits.add_object, methods=["POST"]),
    Route("/api/objects/{slot:int}", edits.change_object, methods=["PATCH"]),
    Route("/api/objects/{slot:int}", edits.delete_object, methods=["DELETE"]),
    Route("/api/ends", edits.change_ends, methods=["POST", "DELETE"]),
    Route("/api/undo", edits.move, methods=["POST"]),
    Route("/api/redo", edits.move, methods=["POST"]),
    Route("/api/import", edits.import_masks, methods=["POST"]),
    Route("/api/exports", exports),
    Route("/api/jobs", add_job, methods=["POST"]),
    Route("/api/jobs", change_jobs, methods=["PATCH"]),
    Route("/api/jobs/{id:int}", stop_job, methods=["DELETE"]),
    Route("/api/tracks", tracks),
    Route("/api/flags", flags),
    Route("/api/flags/seen", edits.mark_seen, methods=["POST"]),
    Route("/api/downloads", issue_ticket, methods=["POST"]),
    Route("/download/{ticket}/{name}", download),
    Route("/api/look", look, methods=["POST"]),
    Route("/api/events", events),
]
