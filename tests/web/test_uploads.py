"""Uploads arrive whole or not at all."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import ClientDisconnect

from fixtures.video_files import write_numbered_video
from maskcast.core.errors import OutputError
from maskcast.web.uploads import Uploads


def left(server) -> list[str]:
    folder = server.root / "uploads"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def video(tmp_path) -> bytes:
    return write_numbered_video(tmp_path / "numbers.mp4").read_bytes()


def test_an_upload_can_be_opened(server, video):
    answer = server.ask("PUT", "/api/uploads/my%20clip.mp4", content=video)
    assert answer.json() == {"path": "uploads/my clip.mp4"}
    assert (server.root / "uploads" / "my clip.mp4").read_bytes() == video
    again = server.ask("PUT", "/api/uploads/my%20clip.mp4", content=video)
    assert again.json() == {"path": "uploads/my clip-2.mp4"}
    assert "uploads" in [e["name"] for e in server.get("/api/folder?path=")["entries"]]


def test_a_file_that_is_no_video_leaves_nothing(server):
    before = left(server)
    answer = server.ask("PUT", "/api/uploads/text.mp4", content=b"#EXTM3U\nfile:///etc/passwd\n")
    assert (answer.status_code, answer.json()["error"]["kind"]) == (422, "VideoError")
    message = answer.json()["error"]["message"]
    assert message.startswith("text.mp4 is not a supported video")
    assert ".part" not in message
    assert left(server) == before


def test_an_upload_that_is_too_large_leaves_nothing(server):
    before = left(server)
    body = bytes(2**20 + 1)
    assert server.ask("PUT", "/api/uploads/a.mp4", content=body).status_code == 413

    def pieces():
        for _ in range(17):
            yield bytes(2**16)

    assert server.ask("PUT", "/api/uploads/a.mp4", content=pieces()).status_code == 413
    assert left(server) == before


def test_an_upload_that_breaks_off_leaves_nothing(server):
    before = left(server)

    async def pieces():
        yield bytes(1000)
        assert len(left(server)) == len(before) + 1
        raise ClientDisconnect

    with pytest.raises(ClientDisconnect):
        asyncio.run(Uploads(server.session).receive("a.mp4", None, pieces()))
    assert left(server) == before


@pytest.mark.parametrize("name", ["..%2fa.mp4", ".hidden.mp4", "a%0a.mp4", "a.txt", "a", "%00.mp4"])
def test_hostile_names_are_rejected(server, video, name):
    before = left(server)
    answer = server.ask("PUT", f"/api/uploads/{name}", content=video)
    assert answer.status_code in (400, 404, 405, 422), answer.text
    assert left(server) == before


def test_a_disk_without_room_is_said(server, video, monkeypatch):
    def full(size: int) -> None:
        raise OutputError("the disk is full: uploads leave 1 GiB free")

    monkeypatch.setattr(server.session.root, "check_space", full)
    answer = server.ask("PUT", "/api/uploads/a.mp4", content=video)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (507, "OutputError")


def test_a_folder_of_uploads_that_is_a_link_is_rejected(server, video, tmp_path):
    folder = server.root / "uploads"
    if folder.exists():
        folder.rename(server.root / "earlier")
    folder.symlink_to(tmp_path)
    try:
        assert server.ask("PUT", "/api/uploads/b.mp4", content=video).status_code == 507
        assert [path.name for path in tmp_path.iterdir()] == ["numbers.mp4"]
    finally:
        folder.unlink()
