"""Endpoints that change the document and return it. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from maskcast.core.errors import UsageError
from maskcast.core.marks import Box
from maskcast.runs.flags import FlagKind
from maskcast.runs.removal import remove_folder
from maskcast.web.answers import document_json
from maskcast.web.bodies import body_of, fields_of, revision_of, slots_of, whole_in_query
from maskcast.web.document import MOST_OBJECTS, Document
from maskcast.web.flagging import seen_entry
from maskcast.web.incoming import MOST, keep_file, keep_files
from maskcast.web.layout import INCOMING
from maskcast.web.project import Project
from maskcast.web.session import Session
from maskcast.web.wire import MOST_MASK, inflate

TOOLS = {
    "brush": "painted",
    "eraser": "erased",
    "polygon": "drew a polygon on",
    "box": "drew a box on",
    "absent": "marked as absent:",
}
LARGEST_FRAME = 2**31


async def put_prompts(request: Request) -> Response:
    session, project = _opened(request)
    revision = revision_of(request)
    if revision is None:
        raise UsageError("If-Match with the revision is required")
    frame, slots = _frame(request.path_params["frame"], project), slots_of(request)
    view = inflate(await body_of(request, MOST_MASK), project.size)
    did = TOOLS.get(request.query_params.get("did", ""), "painted")
    names = _names(project, slots)
    await session.edit(
        revision, f"{did} {names}", frame, lambda: project.painted(frame, slots, view)
    )
    return _document(project)


async def delete_prompts(request: Request) -> Response:
    session, project = _opened(request)
    frame, slots = _frame(request.path_params["frame"], project), slots_of(request)

    def change() -> Document:
        document = project.document
        removed = {document.object_in(slot).id: None for slot in slots}
        return document.with_prompts(frame, removed)

    did = f"removed the mark of {_names(project, slots)}"
    await session.edit(revision_of(request), did, frame, change)
    return _document(project)


async def add_box(request: Request) -> Response:
    session, project = _opened(request)
    fields = await fields_of(request, "frame slot box")
    frame = fields.whole("frame", 0, project.count - 1)
    slot = fields.whole("slot", 1, MOST_OBJECTS)
    x, y, width, height = _four(fields.list_of("box", (int, float), 4))
    box = Box(x, y, width, height)
    if x >= project.size[1] or y >= project.size[0] or x + width <= 0 or y + height <= 0:
        raise UsageError("the box lies outside the frame")
    project.document.object_in(slot)
    session.later(session.make_mask(frame, slot, (box.x, box.y, box.width, box.height)))
    return JSONResponse({}, status_code=202)


async def add_object(request: Request) -> Response:
    session, project = _opened(request)
    fields = await fields_of(request, "name colour")
    name, colour = fields.optional_text("name", 80), fields.optional_text("colour", 7)
    added = project.new_object(name, colour)
    await session.edit(
        revision_of(request),
        f"added {added.name}",
        None,
        lambda: project.document.with_object(added),
    )
    return _document(project, slot=added.slot)


async def change_object(request: Request) -> Response:
    session, project = _opened(request)
    slot, revision = request.path_params["slot"], revision_of(request)
    fields = await fields_of(request, "name colour locked")
    texts = {n: fields.text(n, 80) for n in ("name", "colour") if fields.has(n)}
    known = project.document.object_in(slot)
    if fields.has("locked"):
        locked = fields.flag("locked")
        await session.amend(revision, _changing(project, slot, {"locked": locked}))
        revision = None
    if texts:
        did = f"renamed {known.name}" if "name" in texts else f"recoloured {known.name}"
        await session.edit(revision, did, None, _changing(project, slot, texts))
    return _document(project)


async def delete_object(request: Request) -> Response:
    session, project = _opened(request)
    known = project.document.object_in(request.path_params["slot"])
    await session.edit(
        revision_of(request),
        f"deleted {known.name}",
        None,
        lambda: project.document.without_object(known.id),
    )
    return _document(project)


async def change_ends(request: Request) -> Response:
    session, project = _opened(request)
    fields = await fields_of(request, "frame slot")
    frame = fields.whole("frame", 0, project.count - 1)
    known = project.document.object_in(fields.whole("slot", 1, MOST_OBJECTS))
    ends = request.method == "POST"

    def change() -> Document:
        document = project.document
        edit = document.with_end if ends else document.without_end
        return edit(frame, known.id)

    did = f"{known.name} ends" if ends else f"{known.name} does not end"
    await session.edit(revision_of(request), did, frame, change)
    return _document(project)


async def move(request: Request) -> Response:
    session, project = _opened(request)
    direction = request.url.path.rsplit("/", 1)[-1]
    moved = await session.move(revision_of(request), direction)
    return _document(project, **moved)


async def mark_seen(request: Request) -> Response:
    session, project = _opened(request)
    fields = await fields_of(request, "frame slot kind seen")
    known = project.document.object_in(fields.whole("slot", 1, MOST_OBJECTS))
    frame = fields.whole("frame", 0, project.count - 1)
    flag = seen_entry(project, frame, known.id, fields.choice("kind", tuple(FlagKind)))
    seen = fields.flag("seen")
    await session.amend(revision_of(request), lambda: project.document.with_seen(flag, seen))
    session.events.tell("flags")
    return _document(project)


async def import_masks(request: Request) -> Response:
    session, project = _opened(request)
    number = whole_in_query(request, "frame", LARGEST_FRAME)
    frame_name = None if number is None else project.opened.names[_frame(number, project)]
    name = unquote(request.headers.get("x-name", "mask.png"))
    is_folder = whole_in_query(request, "folder", 1) == 1
    content = await body_of(request, MOST)
    folder = project.run / INCOMING
    try:
        if is_folder:
            path = await run_in_threadpool(keep_files, folder, name, content)
        else:
            path = await run_in_threadpool(keep_file, folder, name, frame_name, content)
        report = await session.read_masks(path, revision_of(request))
    finally:
        await run_in_threadpool(remove_folder, folder)
    return _document(project, report=report)


def _opened(request: Request) -> tuple[Session, Project]:
    session: Session = request.app.state.session
    return session, session.opened()


def _frame(number: int, project: Project) -> int:
    if number >= project.count:
        raise UsageError(f"frame must be in [0, {project.count - 1}], got {number}")
    return number


def _document(project: Project, **more: Any) -> Response:
    return JSONResponse({**document_json(project), **more})


def _names(project: Project, slots: list[int]) -> str:
    return ", ".join(project.document.object_in(slot).name for slot in slots)


def _changing(project: Project, slot: int, changes: dict[str, Any]) -> Callable[[], Document]:
    def change() -> Document:
        document = project.document
        return document.with_changed(replace(document.object_in(slot), **changes))

    return change


def _four(numbers: list[Any]) -> tuple[float, float, float, float]:
    if len(numbers) != 4:
        raise UsageError("box must be [x, y, width, height]")
    x, y, width, height = map(float, numbers)
    return x, y, width, height
