"""Files whose packets are not frames: count and order are those that FFmpeg decodes."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from fixtures.video_files import (
    VideoRecipe,
    number_of,
    numbered_picture,
    write_numbered_video,
    write_pictures,
)
from maskcast.io.video.source import FrameSource, open_frames

WITH_B_FRAMES = {"bf": "2", "g": "6", "b_strategy": "0"}
COUNTED = VideoRecipe(time_base=Fraction(1, 25), tick=lambda i: i, options=WITH_B_FRAMES)


def numbers_of(frames: FrameSource) -> list[int]:
    return [number_of(picture) for picture in frames.pictures()]


def recipe(**changes: object) -> VideoRecipe:
    return VideoRecipe(**{**vars(COUNTED), **changes})


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.avi", "libx264"),
        ("a.avi", "mpeg4"),
        ("a.avi", "mpeg2video"),
        ("a.ts", "libx264"),
        ("a.ts", "mpeg2video"),
        ("a.mpg", "mpeg2video"),
        ("a.mkv", "mpeg4"),
        ("a.flv", "libx264"),
    ],
)
def test_frames_with_b_frames_come_in_order_from_any_container(tmp_path, name, codec):
    path = write_numbered_video(tmp_path / name, recipe(codec=codec))
    frames = open_frames(path)
    assert numbers_of(frames) == list(range(12))
    assert [number_of(frames.picture(i)) for i in (11, 5, 0)] == [11, 5, 0]


def test_segments_joined_byte_by_byte_are_one_video(tmp_path):
    parts = []
    for first in (0, 6, 12):
        part = tmp_path / f"{first}.ts"
        pictures = [numbered_picture(first + i, COUNTED.size) for i in range(6)]
        parts.append(write_pictures(part, pictures, recipe(options={"g": "6"})).read_bytes())
    path = tmp_path / "joined.ts"  # times begin again with every part
    path.write_bytes(b"".join(parts))
    assert numbers_of(open_frames(path)) == list(range(18))


@pytest.mark.parametrize(("name", "codec"), [("a.ts", "mpeg2video"), ("a.mp4", "libx264")])
def test_interlaced_video_is_reported(tmp_path, caplog, name, codec):
    options = {"flags": "+ildct+ilme"} if codec == "mpeg2video" else {"x264-params": "tff=1"}
    path = write_numbered_video(tmp_path / name, recipe(codec=codec, options=options))
    with caplog.at_level(logging.WARNING):
        frames = open_frames(path)
    assert numbers_of(frames) == list(range(12))
    assert "is interlaced: each frame combines two moments" in caplog.text
    assert frames.describe()[0].endswith(", interlaced")


def test_a_still_picture_before_the_video_is_passed_over(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(path, "w") as container:
        still = container.add_stream("mjpeg", rate=25, options={})
        video = container.add_stream("libx264", rate=25)
        for stream, pixel_format in ((still, "yuvj420p"), (video, "yuv420p")):
            stream.height, stream.width, stream.pix_fmt = 48, 64, pixel_format
        for stream, count in ((still, 1), (video, 8)):
            for number in range(count):
                frame = av.VideoFrame.from_ndarray(numbered_picture(number, (48, 64)), "rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    assert numbers_of(open_frames(path)) == list(range(8))


def test_what_only_a_recorder_marks_as_corrupt_is_read(tmp_path):
    path = write_numbered_video(tmp_path / "a.ts", recipe(options={"g": "4"}))
    content = bytearray(path.read_bytes())
    packets = range(0, len(content), 188)
    video = [p for p in packets if (content[p + 1] & 0x1F, content[p + 2]) == (1, 0)]
    content[video[5] + 3] = content[video[5] + 3] & 0xF0 | (content[video[5] + 3] + 5) & 0x0F
    path.write_bytes(bytes(content))  # a jump of the counter, as where two files were joined
    assert numbers_of(open_frames(path)) == list(range(12))


def test_times_of_a_transport_stream_are_kept(tmp_path):
    path = write_numbered_video(Path(tmp_path / "a.ts"), recipe())
    timing = open_frames(path).timing
    assert timing is not None
    steps = np.diff([float(timing.seconds(i)) for i in range(12)])
    assert np.allclose(steps, 0.04)


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_reading_shows_the_seconds_read(tmp_path, name):
    path = write_numbered_video(tmp_path / name, recipe(time_base=Fraction(1, 2)))
    seen: list[tuple[str, int, int | None]] = []
    frames = open_frames(path, progress=lambda *report: seen.append(report))
    assert frames.count == 12
    passes = 1 if name == "a.mp4" else 2  # packets, and decoded frames where they may differ
    ends = [report for report in seen if report[1] == report[2]]
    assert {work for work, _, _ in seen} == {f"reading {name}"}
    assert [done for _, done, _ in seen[:4]] == [1, 2, 3, 4]
    assert len(set(ends)) == 1 and len(ends) >= passes
    assert seen[-1] == ends[0]
