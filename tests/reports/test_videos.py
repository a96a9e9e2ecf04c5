"""The rows of the reports about videos and folders of frames."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest

from maskcast.core.errors import VideoError
from maskcast.io.video.source import open_frames
from reports.rows import INPUTS

pytestmark = pytest.mark.skipif(not INPUTS.is_dir(), reason="MASKCAST_REPORTS is missing")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("plain.mp4", 12),
        ("still_before_video.mkv", 12),
        ("fields.ts", 10),
        ("b_frames.avi", 12),
        ("joined_segments.ts", 12),
    ],
)
def test_videos_have_the_frames_that_ffmpeg_decodes(name, count):
    frames = open_frames(INPUTS / "videos" / name)
    pictures = list(frames.pictures())
    assert (frames.count, len(pictures)) == (count, count)
    differences = [
        float(abs(after.astype(int) - before).mean()) for before, after in pairwise(pictures)
    ]
    assert min(differences) > 0.1, "a frame is doubled"
    assert max(differences) < 4 * min(differences), "a frame is lost or out of order"


def test_an_animation_is_named():
    with pytest.raises(VideoError, match="an animation of 4 pictures, which is not read"):
        open_frames(INPUTS / "videos" / "animation.png")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("frames_tif", ""),
        ("frames_12_bits_in_16", "which has 16 bits, end at 2480 of 65535"),
        ("frames_with_a_gap", "no frame between 1002 and 1005"),
    ],
)
def test_folders_of_frames(name, words, caplog):
    with caplog.at_level(logging.WARNING):
        frames = open_frames(INPUTS / name)
    assert (frames.count, len(list(frames))) == (4, 4)
    assert words in caplog.text
    assert bool(caplog.text) == bool(words)
