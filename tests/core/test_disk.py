"""The disk is asked for files and for folders."""

from __future__ import annotations

import os

from maskcast.core.disk import flush_to_disk


def test_files_and_folders_are_flushed(tmp_path, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: asked.append(os.fstat(number).st_ino))
    path = tmp_path / "masks"
    path.write_bytes(b"x")
    flush_to_disk(path)
    flush_to_disk(tmp_path)
    assert asked == [path.stat().st_ino, tmp_path.stat().st_ino]
