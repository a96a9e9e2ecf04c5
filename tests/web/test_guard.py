"""Who may talk to the server."""

from __future__ import annotations

import asyncio

import pytest

from maskcast.web.guard import HEADERS, Allowed, Guard, allowed_hosts, refuse

HOST = "127.0.0.1:7777"
ALLOWED = Allowed(token="secret", hosts=allowed_hosts(["studio.lan"], 7777))
GOOD = {"host": HOST, "authorization": "Bearer secret"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/api/hello", GOOD, None),
        ("PUT", "/api/prompts/3", GOOD, None),
        ("GET", "/api/hello", GOOD | {"origin": f"http://{HOST}"}, None),
        ("GET", "/api/hello", GOOD | {"sec-fetch-site": "same-origin"}, None),
        ("GET", "/api/hello", GOOD | {"host": "localhost:7777"}, None),
        ("GET", "/api/hello", GOOD | {"host": "[::1]:7777"}, None),
        ("GET", "/api/hello", GOOD | {"host": "studio.lan:7777"}, None),
        ("GET", "/api/hello", {"host": HOST}, 401),
        ("GET", "/api/hello", GOOD | {"authorization": "Bearer secre"}, 401),
        ("GET", "/api/hello", GOOD | {"authorization": "secret"}, 401),
        ("GET", "/api/hello", GOOD | {"authorization": "Bearer sécret"}, 401),
        ("GET", "/api/nothing", {"host": HOST}, 401),
        ("GET", "/anything", {"host": HOST}, 401),
        ("GET", "/../etc/passwd", {"host": HOST}, 401),
        ("GET", "/api/hello", GOOD | {"host": "127.0.0.1:7778"}, 421),
        ("GET", "/api/hello", GOOD | {"host": "127.0.0.1"}, 421),
        ("GET", "/api/hello", GOOD | {"host": "evil.example:7777"}, 421),
        ("GET", "/api/hello", {"authorization": "Bearer secret"}, 421),
        ("GET", "/", {"host": "evil.example:7777"}, 421),
        ("GET", "/api/hello", GOOD | {"origin": "http://evil.example"}, 421),
        ("GET", "/api/hello", GOOD | {"origin": "null"}, 421),
        ("GET", "/api/hello", GOOD | {"origin": f"https://{HOST}"}, 421),
        # the same wrong name in Host and Origin is wrong twice, not right
        ("POST", "/api/undo", {"host": "a.b:7777", "origin": "http://a.b:7777"}, 421),
        ("GET", "/api/hello", GOOD | {"sec-fetch-site": "cross-site"}, 403),
        ("GET", "/api/hello", GOOD | {"sec-fetch-site": "same-site"}, 403),
        ("GET", "/", {"host": HOST}, None),
        ("GET", "/app.js", {"host": HOST}, None),
        ("GET", "/", {"host": HOST, "sec-fetch-site": "cross-site"}, None),
        ("GET", "/download/ticket/name", {"host": HOST}, None),
        ("POST", "/", {"host": HOST}, 405),
        ("POST", "/download/ticket/name", {"host": HOST}, 405),
        ("OPTIONS", "/api/hello", {"host": HOST, "origin": "http://evil.example"}, 421),
    ],
)
def test_a_request_needs_token_host_and_origin(method, path, headers, status):
    refusal = refuse(method, path, headers, ALLOWED)
    assert (refusal and refusal[0]) == status


def answer(headers: list[tuple[bytes, bytes]], path: str = "/api/hello") -> list[dict]:
    """What the guard sends in front of an application that answers everything."""
    sent: list[dict] = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})

    async def receive():
        raise AssertionError

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": headers}
    asyncio.run(Guard(app, ALLOWED)(scope, receive, send))
    return sent


def test_every_answer_has_security_headers():
    good = [(b"host", HOST.encode()), (b"authorization", b"Bearer secret")]
    for headers in (good, good[:1], []):
        start = answer(headers)[0]
        names = dict(start["headers"])
        assert all(names[name.encode()] == value.encode() for name, value in HEADERS.items())
        assert names[b"cache-control"] == b"no-store"
        assert not any(name.startswith(b"access-control") for name in names)


def test_a_header_that_is_sent_twice_is_not_trusted():
    twice = [
        (b"host", HOST.encode()),
        (b"host", HOST.encode()),
        (b"authorization", b"Bearer secret"),
    ]
    assert answer(twice)[0]["status"] == 421
    tokens = [(b"host", HOST.encode()), *[(b"authorization", b"Bearer secret")] * 2]
    assert answer(tokens)[0]["status"] == 401


def test_refusals_do_not_reach_the_application():
    assert b"inside" not in answer([])[1]["body"]


def test_no_other_kind_of_connection_is_accepted():
    async def nothing(*_):
        raise AssertionError

    async def connect():
        await Guard(nothing, ALLOWED)({"type": "websocket"}, nothing, nothing)

    with pytest.raises(ValueError, match="websocket"):
        asyncio.run(connect())


def test_loopback_names_are_always_allowed_and_others_only_if_named():
    hosts = allowed_hosts(["10.0.0.7"], 80)
    assert hosts == {"127.0.0.1:80", "localhost:80", "[::1]:80", "10.0.0.7:80"}
