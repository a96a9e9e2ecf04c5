"""Read bodies, headers and queries of requests, with limits. Imports no torch."""

from __future__ import annotations

from starlette.requests import Request

from maskcast.core.errors import MaskcastError, UsageError
from maskcast.web.wire import MOST_JSON, Fields, read_json


class BodyTooLargeError(MaskcastError):
    """The body of a request is larger than allowed."""


async def body_of(request: Request, most: int) -> bytes:
    """Return the body. Raises ``BodyTooLargeError``."""
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared) > most:
        raise BodyTooLargeError(f"the request may carry at most {most} bytes")
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise BodyTooLargeError(f"the request may carry at most {most} bytes")
    return bytes(content)


async def fields_of(request: Request, known: str) -> Fields:
    """Return the entries of a JSON body. Raises ``UsageError``."""
    return Fields(read_json(await body_of(request, MOST_JSON)), known)


def revision_of(request: Request) -> int | None:
    """Return the revision in ``If-Match``; None if there is none. Raises ``UsageError``."""
    text = request.headers.get("if-match")
    if text is None:
        return None
    number = text.strip('"')
    if not number.isdecimal() or len(number) > 15:
        raise UsageError("If-Match must be a revision")
    return int(number)


def whole_in_query(request: Request, name: str, most: int) -> int | None:
    """Return a whole number of the query; None if there is none. Raises ``UsageError``."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 15 or int(text) > most:
        raise UsageError(f"{name} must be a whole number in [0, {most}]")
    return int(text)


def slots_of(request: Request) -> list[int]:
    """Return the slots of the query, ``slots=1,3``. Raises ``UsageError``."""
    texts = request.query_params.get("slots", "").split(",")
    if not all(text.isdecimal() and len(text) <= 3 for text in texts):
        raise UsageError("slots must be numbers, such as slots=1,3")
    return sorted({int(text) for text in texts})
