"""Fuzz the reader of video files: what it announces is what it yields."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from fixtures.video_files import VideoRecipe, write_numbered_video
from fuzz.budget import Fuzz
from fuzz.mutations import damaged
from maskcast.core.errors import VideoError
from maskcast.io.video.source import open_frames

KINDS = {
    "a.mp4": VideoRecipe(count=5),
    "a.mkv": VideoRecipe(count=5),
    "a.ts": VideoRecipe(count=5),
    "a.avi": VideoRecipe(count=5, time_base=Fraction(1, 25), tick=lambda i: i),
}


@pytest.mark.parametrize("name", KINDS)
def test_videos(fuzz: Fuzz, tmp_path: Path, name: str):
    path = write_numbered_video(tmp_path / name, KINDS[name])
    good = path.read_bytes()

    def reads_or_rejects(content: bytes) -> None:
        path.write_bytes(content)
        try:
            frames = open_frames(path, on_bad_frame="hold")
            pictures = list(frames.pictures())
        except VideoError:
            return
        assert len(pictures) == frames.count
        assert {picture.shape[:2] for picture in pictures} == {frames.size}

    fuzz(damaged([good]), reads_or_rejects)
