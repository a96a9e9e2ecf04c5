"""Downloads from a server on this machine: whole, broken, and lying."""

from __future__ import annotations

import hashlib
import http.server
import socket
import struct
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from maskcast.core.errors import MissingFileError, WeightsError
from maskcast.io.weights import downloads
from maskcast.io.weights.downloads import download

CONTENT = bytes(range(256)) * 3000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PAGE = b"<!DOCTYPE html><html><body>Quota exceeded</body></html>"
DRIVE_ID = "1Xnm4A2BRBliDBKO4EEFHAQfGyfOMsVyY"
FORM = """<!DOCTYPE html><html><body><form id="download-form" action="{action}" method="get">
<input type="submit" value="Download anyway"/><input type="hidden" name="id" value="{id}">
<input type="hidden" name="export" value="download"><input type="hidden" name="confirm" value="t">
<input type="hidden" name="uuid" value="abc"></form></body></html>"""


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None: ...

    def answer(self, content: bytes, kind: str, declared: object = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) if declared is None else declared))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        fields = dict(urllib.parse.parse_qsl(query))
        if path == "/good":
            self.answer(CONTENT, "application/octet-stream")
        elif path == "/broken":
            self.answer(CONTENT[:1000], "application/octet-stream", declared=len(CONTENT))
            self.close_connection = True
        elif path == "/reset":
            self.answer(CONTENT[:1000], "application/octet-stream", declared=len(CONTENT))
            at_once = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            self.connection.close()
        elif path == "/unsure":
            self.answer(CONTENT[:1000], "application/octet-stream", declared="many")
            self.close_connection = True
        elif path == "/gr%C3%B6%C3%9Fe":
            self.answer(CONTENT, "application/octet-stream")
        elif path == "/page":
            self.answer(PAGE, "text/html; charset=utf-8")
        elif path == "/lying":
            self.answer(b"\n " + PAGE, "application/octet-stream")
        elif path.startswith("/chunks"):
            self.chunks(path.removeprefix("/chunks/"))
        elif path == "/endless":
            self.endless()
        elif path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", urllib.parse.unquote(query))
            self.end_headers()
        elif path == "/drive":
            self.drive(fields)
        else:
            self.send_error(404)

    def chunks(self, length: str) -> None:
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(length.encode() + b"\r\n" + CONTENT[:1000])
        self.close_connection = True

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(bytes(2**16))

    def drive(self, fields: dict[str, str]) -> None:
        if fields.get("id") != DRIVE_ID:
            self.answer(PAGE, "text/html")
        elif fields.get("confirm") == "t" and fields.get("uuid") == "abc":
            self.answer(CONTENT, "application/octet-stream")
        else:
            form = FORM.format(action="/drive", id=DRIVE_ID)
            self.answer(form.encode(), "text/html")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine goes through to reach others, it reaches itself directly."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_good_file(server, tmp_path):
    told: list[tuple[str, int, int | None]] = []
    target = tmp_path / "new" / "file.pth"
    found = download(
        f"{server}/good",
        target,
        sha256=SHA256.upper(),
        progress=lambda *now: told.append(now),
    )
    assert found == SHA256
    assert target.read_bytes() == CONTENT
    assert told[-1] == ("download", len(CONTENT), len(CONTENT))
    assert [path.name for path in target.parent.iterdir()] == ["file.pth"]


@pytest.mark.parametrize(
    ("address", "options", "message"),
    [
        ("/broken", {}, "closed the connection too early; try again"),
        ("/reset", {}, "cannot reach .*reset"),
        ("/page", {}, "returned a web page instead of a file"),
        ("/lying", {}, "returned a web page instead of a file"),
        ("/good", {"sha256": "0" * 64}, f"its SHA-256 is {SHA256}, not 000"),
        ("/absent", {}, "download failed: .* returned 404"),
    ],
)
def test_a_failure_is_explained_and_leaves_nothing(server, tmp_path, address, options, message):
    with pytest.raises(WeightsError, match=message):
        download(f"{server}{address}", tmp_path / "file.pth", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_the_file_that_was_there(server, tmp_path):
    (tmp_path / "file.pth").write_bytes(b"old")
    with pytest.raises(WeightsError):
        download(f"{server}/broken", tmp_path / "file.pth")
    assert (tmp_path / "file.pth").read_bytes() == b"old"


def test_a_server_that_counts_in_words(server, tmp_path):
    download(f"{server}/unsure", tmp_path / "file.pth")
    assert (tmp_path / "file.pth").read_bytes() == CONTENT[:1000]


def test_an_address_in_any_script(server, tmp_path):
    assert download(f"{server}/größe", tmp_path / "file.pth") == SHA256


@pytest.mark.parametrize("address", ["http://[bad", "http://", "https://:x/"])
def test_what_is_no_address(address, tmp_path):
    with pytest.raises(WeightsError, match=r"invalid URL|cannot reach"):
        download(address, tmp_path / "file.pth")


def test_a_server_that_is_not_there(tmp_path):
    with pytest.raises(WeightsError, match="download failed: cannot reach"):
        download("http://127.0.0.1:9/file", tmp_path / "file.pth")


def test_a_path(tmp_path):
    (tmp_path / "source.pth").write_bytes(CONTENT)
    for source in (tmp_path / "source.pth", str(tmp_path / "source.pth")):
        assert download(source, tmp_path / "copy.pth", sha256=SHA256) == SHA256
    with pytest.raises(MissingFileError, match="does not exist"):
        download(tmp_path / "absent.pth", tmp_path / "copy.pth")
    with pytest.raises(MissingFileError, match="neither an existing file, nor a URL"):
        download("absent.pth", tmp_path / "copy.pth")


@pytest.mark.parametrize("source", [DRIVE_ID, f"drive:{DRIVE_ID}"])
def test_google_drive_asks_for_a_confirmation(server, tmp_path, source):
    found = download(source, tmp_path / "file.pth", drive=f"{server}/drive")
    assert found == SHA256
    assert Path(tmp_path / "file.pth").read_bytes() == CONTENT


def test_google_drive_refuses(server, tmp_path):
    with pytest.raises(WeightsError, match="missing, private, or over its quota"):
        download("drive:" + "x" * 33, tmp_path / "file.pth", drive=f"{server}/drive")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", ["-5", "-1", "f" * 40, "9" * 5000, "zz", ""])
def test_impossible_lengths_of_chunks_are_failed_downloads(server, tmp_path, length):
    with pytest.raises(WeightsError, match="download failed"):
        download(f"{server}/chunks/{length}", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_stops_is_stopped(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_LARGEST_FILE", 2**20)
    with pytest.raises(WeightsError, match="more than 1048576 bytes were sent"):
        download(f"{server}/endless", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_sends_next_to_nothing_is_left(server, tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(downloads, "_SLOWEST", 1e12)
    with pytest.raises(WeightsError, match=r"cannot reach .*: only \d+ bytes in 100 seconds"):
        download(f"{server}/good", tmp_path / "x")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://localhost/x", "data:,x"])
def test_redirects_lead_to_web_servers_only(server, tmp_path, target):
    with pytest.raises(WeightsError, match="download failed"):
        download(f"{server}/elsewhere?{target}", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "address",
    [
        "http://a..b/x",
        f"http://{'a' * 300}.org/x",
        "http://[::1/x",
        "http://localhost:99999999/x",
        "http://localhost:port/x",
        "http://\x00/x",
        "http:///x",
    ],
)
def test_impossible_hosts_are_failed_downloads(tmp_path, address):
    with pytest.raises(WeightsError, match=r"download failed|invalid URL"):
        download(address, tmp_path / "x")
