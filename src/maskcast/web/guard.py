"""Access control: an ASGI middleware in front of all endpoints, which denies by default.

It protects against other users of the machine by a token, on loopback too. It protects against
other pages in the same browser by checking ``Host``, ``Origin`` and ``Sec-Fetch-Site``, by not
allowing CORS, and by a strict content security policy.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
OPEN_FILES = ("/", "/app.js", "/app.css", "/icon.svg")
"""Paths that anyone on the machine may read; they contain no data of the user."""
DOWNLOAD = "/download/"
"""Prefix of paths with a one-time ticket instead of the token."""


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """The values that requests must have."""

    token: str
    hosts: frozenset[str]
    """Allowed values of ``Host``, including the port."""

    @property
    def origins(self) -> frozenset[str]:
        """Allowed values of ``Origin``."""
        return frozenset(f"http://{host}" for host in self.hosts)


def allowed_hosts(names: Collection[str], port: int) -> frozenset[str]:
    """Return the allowed values of ``Host``: loopback and additional names, with the port."""
    return frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", *names))


class Guard:
    """Forwards allowed requests, and adds security headers to every response."""

    def __init__(self, app: ASGIApp, allowed: Allowed) -> None:
        self._app = app
        self._allowed = allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"unexpected connection of type {scope['type']}")
        refusal = refuse(scope["method"], scope["path"], _headers(scope), self._allowed)
        if refusal is not None:
            await _answer(send, *refusal)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                added = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                if b"cache-control" not in present:
                    added.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def refuse(
    method: str, path: str, headers: Mapping[str, str], allowed: Allowed
) -> tuple[int, str] | None:
    """Return status and reason if a request is not allowed; None if it is.

    Args:
        method: HTTP method, such as GET.
        path: decoded path of the URL.
        headers: headers by lower-case name; see ``_headers`` for repeated ones.
        allowed: the values that the request must have.
    """
    if headers.get("host") not in allowed.hosts:
        return 421, "unknown host name"
    origin = headers.get("origin")
    if origin is not None and origin not in allowed.origins:
        return 421, "requests of other pages are rejected"
    if path in OPEN_FILES or path.startswith(DOWNLOAD):
        return None if method in ("GET", "HEAD") else (405, "only GET and HEAD are allowed")
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return 403, "requests of other pages are rejected"
    authorization = headers.get("authorization", "").encode()
    if not hmac.compare_digest(authorization, f"Bearer {allowed.token}".encode()):
        return 401, "the token is missing or wrong; open the address that the command prints"
    return None


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers; a repeated header has a value that matches nothing."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1")
        headers[key] = "\0" if key in headers else value.decode("latin-1")
    return headers


async def _answer(send: Send, status: int, message: str) -> None:
    kind = {401: "unauthorised", 403: "forbidden", 405: "method", 421: "host"}[status]
    body = json.dumps({"error": {"kind": kind, "message": message}}).encode()
    headers: list[tuple[bytes, Any]] = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
    headers += [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
