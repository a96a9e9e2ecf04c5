"""Decoded frames are kept on the disk up to a limit."""

from __future__ import annotations

import os

from maskcast.web.frame_cache import CHUNK, FrameCache, cached_path


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
