"""Decoded frames are kept on the disk up to a limit."""

from __future__ import annotations

import os

from maskcast.web.frame_cache import CHUNK, FrameCache, ServerCache, cached_path, read_frame


def test_the_oldest_chunks_go_first(tmp_path):
    cache = FrameCache(tmp_path / "video", limit=1000)
    for number in range(4):
        frame = number * CHUNK
        cache.write(frame, 640, b"x" * 300)
        chunk = cached_path(tmp_path / "video", frame, 640).parent
        os.utime(chunk, (number, number))
    assert [cache.has(number * CHUNK, 640) for number in range(4)] == [False, True, True, True]


def test_frames_of_other_videos_count_too(tmp_path):
    FrameCache(tmp_path / "old", limit=1000).write(0, 640, b"x" * 900)
    os.utime(cached_path(tmp_path / "old", 0, 640).parent, (1, 1))
    FrameCache(tmp_path / "new", limit=1000).write(0, 640, b"x" * 900)
    assert not FrameCache(tmp_path / "old").has(0, 640)
    assert FrameCache(tmp_path / "new").has(0, 640)


def test_a_frame_is_complete_or_absent(tmp_path):
    cache = FrameCache(tmp_path / "video")
    cache.write(3, 0, b"content")
    assert cached_path(tmp_path / "video", 3, 0).read_bytes() == b"content"
    assert [p.name for p in cached_path(tmp_path / "video", 3, 0).parent.iterdir()] == ["3.jpg"]


def test_a_disk_that_cannot_be_written_to_keeps_nothing(tmp_path):
    (tmp_path / "video").write_text("a file")
    FrameCache(tmp_path / "video").write(3, 0, b"content")


def test_a_chunk_that_is_read_is_kept(tmp_path):
    video = tmp_path / "video"
    cache = FrameCache(video, limit=1000)
    for number in range(3):
        cache.write(number * CHUNK, 640, b"x" * 300)
        os.utime(cached_path(video, number * CHUNK, 640).parent, (number, number))
    assert read_frame(video, 0, 640) == b"x" * 300
    assert read_frame(video, 1, 640) is None
    cache.write(3 * CHUNK, 640, b"x" * 300)
    assert [cache.has(number * CHUNK, 640) for number in range(4)] == [True, False, True, True]


def test_servers_of_one_video_keep_the_frames_of_each_other(tmp_path, monkeypatch):
    monkeypatch.setenv("MASKCAST_CACHE", str(tmp_path))
    killed = tmp_path / "frames" / "killed" / "video"
    FrameCache(killed).write(0, 640, b"x")
    servers = [ServerCache() for _ in range(2)]
    folders = [server.folder_of("video") for server in servers]
    assert not killed.exists()
    for folder in folders:
        FrameCache(folder).write(0, 640, b"x")
        assert folder.parent.stat().st_mode & 0o077 == 0
    servers[0].close()
    assert [read_frame(folder, 0, 640) for folder in folders] == [None, b"x"]
    servers[1].close()
    assert list((tmp_path / "frames").iterdir()) == []


def test_a_server_runs_without_a_cache(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MASKCAST_CACHE", str(tmp_path / "file"))
    server = ServerCache()
    assert read_frame(server.folder_of("video"), 0, 640) is None
    server.close()
