"""Segment uploaded videos: a pool of segmenters, masks streamed as they are found, errors as HTTP.

The answer of ``POST /segment`` is one JSON object per line, sent after each frame::

    {"frame": 0, "objects": {"1": {"size": [240, 416], "counts": "…"}}}

``objects`` has the mask of each object as COCO run lengths, by id. If something goes wrong after
the first line, the last line is ``{"error": "…"}``.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

import maskcast
from maskcast.core.errors import DataError, DeviceMemoryError, UsageError
from maskcast.io.rle import encode_mask

Segmenter = maskcast.VideoSegmenter[Any]

STATUS = {UsageError: 400, DataError: 422, DeviceMemoryError: 503}
"""HTTP status by kind of error; others are 500."""
SECONDS_TO_WAIT = float(os.environ.get("MASKCAST_WAIT", "30"))
"""How long a request waits for a free segmenter."""
MOST_BYTES = int(os.environ.get("MASKCAST_MOST_BYTES", str(2**30)))
"""Largest upload."""
UPLOADS = "maskcast-"
"""First part of the name of the temporary folder of a request."""


class BusyError(Exception):
    """All segmenters stayed in use."""


class TooLargeError(Exception):
    """An upload has more than ``MOST_BYTES``."""


class Pool:
    """Segmenters that requests borrow; each computes one video at a time."""

    def __init__(self, count: int, weights: str | None, device: str) -> None:
        self._free: queue.Queue[Segmenter] = queue.Queue()
        for _ in range(count):
            self._free.put(maskcast.load_segmenter(weights, device=device))

    def borrow(self) -> Segmenter:
        """Return a free segmenter; raises ``BusyError``."""
        try:
            return self._free.get(timeout=SECONDS_TO_WAIT)
        except queue.Empty:
            raise BusyError from None

    def give_back(self, segmenter: Segmenter) -> None:
        """Let the next request use a segmenter."""
        self._free.put(segmenter)


@asynccontextmanager
async def with_pool(app: FastAPI) -> AsyncIterator[None]:
    """Load the segmenters before the first request."""
    count = int(os.environ.get("MASKCAST_POOL", "1"))
    weights = os.environ.get("MASKCAST_WEIGHTS")
    device = os.environ.get("MASKCAST_DEVICE", "auto")
    app.state.pool = await run_in_threadpool(Pool, count, weights, device)
    yield


app = FastAPI(title="maskcast", lifespan=with_pool)


@app.get("/health")
def health() -> dict[str, str]:
    """Answer when the segmenters are loaded."""
    return {"maskcast": maskcast.__version__}


@app.post("/segment")
async def segment(
    request: Request,
    video: UploadFile,
    masks: list[UploadFile] | None = None,
    box: Annotated[list[str] | None, Form()] = None,
) -> StreamingResponse:
    """Segment the objects in the masks (label maps) and boxes (``ID:X,Y,WIDTH,HEIGHT``)."""
    folder = Path(tempfile.mkdtemp(prefix=UPLOADS))
    try:
        path = await run_in_threadpool(_save, video, folder / "video")
        prompts = [await run_in_threadpool(_save, mask, folder / "masks") for mask in masks or []]
        frames = await run_in_threadpool(maskcast.open_frames, path)
        given = await run_in_threadpool(
            maskcast.read_prompts, prompts, box or [], names=frames.names, size=frames.size
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    answer = _answer(request.app.state.pool, frames, given.by_frame, folder)
    first = await anext(answer)  # an error before the first frame becomes a status
    return StreamingResponse(_after(first, answer), media_type="application/x-ndjson")


async def _answer(
    pool: Pool, frames: Any, prompts: Mapping[int, maskcast.Prompts], folder: Path
) -> AsyncGenerator[str, None]:
    """Yield a line for each frame, and clean up, also when the client has gone."""
    segmenter = lines = None
    try:
        segmenter = await run_in_threadpool(pool.borrow)
        lines = _lines(maskcast.segment_video(segmenter, frames, prompts))
        while line := await run_in_threadpool(next, lines, ""):
            yield line
    finally:
        if lines is not None:
            lines.close()
        if segmenter is not None:
            pool.give_back(segmenter)
        shutil.rmtree(folder, ignore_errors=True)


async def _after(first: str, others: AsyncGenerator[str, None]) -> AsyncIterator[str]:
    async with aclosing(others):
        yield first
        async for line in others:
            yield line


def _lines(found: Iterator[maskcast.ObjectMasks]) -> Generator[str, None, None]:
    """Yield a line for each frame; an error after the first one becomes the last line."""
    frame = 0
    try:
        for masks in found:
            label_map = masks.label_map().cpu().numpy()
            objects = {i: encode_mask(label_map == i) for i in masks.ids}
            yield json.dumps({"frame": frame, "objects": objects}) + "\n"
            frame += 1
    except maskcast.MaskcastError as error:
        if frame == 0:
            raise
        yield json.dumps(_described(error)) + "\n"


def _save(upload: UploadFile, folder: Path) -> Path:
    """Write an upload into a folder, under the last part of its name."""
    folder.mkdir(exist_ok=True)
    path = folder / (Path(upload.filename or "").name.lstrip(".") or "file")
    size = 0
    with path.open("wb") as file:
        while piece := upload.file.read(2**20):
            size += len(piece)
            if size > MOST_BYTES:
                raise TooLargeError
            file.write(piece)
    return path


def _described(error: maskcast.MaskcastError) -> dict[str, Any]:
    """Return the parts of an error; uploads have their own names in it, without the folder here."""
    details = [_without_folder(detail) for detail in error.details]
    summary = _without_folder(error.summary)
    return {"error": summary, "details": details, "options": error.options}


def _without_folder(text: str) -> str:
    return re.sub(rf"[^\s'\"]*{UPLOADS}\w+[/\\](?:video|masks)[/\\]", "", text)


@app.exception_handler(maskcast.MaskcastError)
async def explain(_: Request, error: maskcast.MaskcastError) -> JSONResponse:
    """Answer an error with its kind as the status, and its parts."""
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    return JSONResponse(_described(error), status)


@app.exception_handler(RequestValidationError)
async def say_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
    """Name the fields of the request that are missing or of another kind."""
    details = [
        f"{'.'.join(str(part) for part in problem['loc'][1:])}: {problem['msg']}"
        for problem in error.errors()
    ]
    answer = {"error": "the fields of the request are invalid", "details": details, "options": []}
    return JSONResponse(answer, 422)


@app.exception_handler(BusyError)
async def say_busy(_: Request, __: BusyError) -> JSONResponse:
    """Ask the client to come back."""
    answer = {"error": "all segmenters are in use; try again later"}
    return JSONResponse(answer, 503, {"Retry-After": str(round(SECONDS_TO_WAIT))})


@app.exception_handler(TooLargeError)
async def say_too_large(_: Request, __: TooLargeError) -> JSONResponse:
    """Say how large an upload may be."""
    return JSONResponse({"error": f"uploads may have {MOST_BYTES} bytes"}, 413)
