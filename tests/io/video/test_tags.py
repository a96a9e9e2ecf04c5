"""Tags of a video are read from it, and written to its exports."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorTrc

from maskcast.io.video.export_timing import steady_timing
from maskcast.io.video.formats import FORMATS
from maskcast.io.video.tags import VideoTags, advance_timecode, read_tags
from maskcast.io.video.writer import open_video_writer

NTSC = Fraction(30000, 1001)
TAGS = VideoTags(
    pixel_aspect=Fraction(64, 45),
    primaries=int(ColorPrimaries.SMPTE170M),
    transfer=int(ColorTrc.SMPTE170M),
    timecode="01:02:03:04",
)


def written(path: Path, kind, tags: VideoTags) -> Path:
    timing, shape = steady_timing(4, Fraction(25)), (48, 64)
    channels = FORMATS[kind].channels
    picture = np.full((*shape, channels), 120, dtype=np.uint8)
    parts = path.with_name("parts")
    opened = open_video_writer(path, kind, size=shape, timing=timing, parts=parts, tags=tags)
    with opened as (_, write):
        for _ in range(4):
            write(picture)
    return path


@pytest.mark.parametrize("kind", ["h264", "prores", "prores_opaque"])
def test_tags_come_back(tmp_path, kind):
    path = written(tmp_path / f"v{FORMATS[kind].suffix}", kind, TAGS)
    found = read_tags(path)
    assert found.rates[0] == 25
    names = ("pixel_aspect", "primaries", "transfer", "field_order", "timecode")
    assert [getattr(found, name) for name in names] == [getattr(TAGS, name) for name in names]


@pytest.mark.parametrize("order", ["tt", "bb"])
@pytest.mark.parametrize("kind", ["h264", "prores"])
def test_interlaced_videos_are_not_marked_progressive(tmp_path, kind, order):
    tags = VideoTags(field_order=order)
    path = written(tmp_path / f"v{FORMATS[kind].suffix}", kind, tags)
    assert read_tags(path).field_order == order
    with av.open(path) as container:
        assert all(frame.interlaced_frame for frame in container.decode(video=0))


def test_pixels_of_a_turned_video_are_turned(tmp_path):
    path = written(tmp_path / "v.mp4", "h264", TAGS)
    content = path.read_bytes()
    upright = b"\0\1\0\0" + 12 * b"\0" + b"\0\1\0\0" + 12 * b"\0" + b"\x40\0\0\0"
    turned = b"\0\0\0\0\0\1\0\0\0\0\0\0\xff\xff\0\0" + 16 * b"\0" + b"\x40\0\0\0"
    at = content.index(upright, content.index(b"tkhd"))
    path.write_bytes(content[:at] + turned + content[at + 36 :])
    assert read_tags(path).pixel_aspect == Fraction(45, 64)


@pytest.mark.parametrize(
    ("timecode", "frames", "rate", "later"),
    [
        ("01:00:00:00", 0, Fraction(25), "01:00:00:00"),
        ("01:00:00:24", 1, Fraction(25), "01:00:01:00"),
        ("23:59:59:24", 26, Fraction(25), "00:00:01:00"),
        ("01:00:00:00", 86, Fraction(24000, 1001), "01:00:03:14"),
        ("00:00:59;29", 1, NTSC, "00:01:00;02"),  # 00 and 01 are left out
        ("00:09:59;29", 1, NTSC, "00:10:00;00"),  # but not in every tenth minute
        ("00:00:00;00", 107892, NTSC, "01:00:00;00"),  # an hour of drop frame
        ("00:00:59;59", 1, 2 * NTSC, "00:01:00;04"),
        ("01:00:00:29", 1, Fraction(25), None),  # no frame 29 at 25/s
        ("01:00:00;10", 1, Fraction(25), None),  # no drop frame at 25/s
    ],
)
def test_timecodes_go_on(timecode, frames, rate, later):
    assert advance_timecode(timecode, frames, rate) == later


def test_a_video_without_tags_has_those_of_hd(tmp_path):
    plain = read_tags(written(tmp_path / "v.mp4", "h264", VideoTags()))
    assert plain.rates
    assert VideoTags(rates=plain.rates) == plain
