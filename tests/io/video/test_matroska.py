"""The shape of pixels is added to finished files, which stay whole."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from maskcast.io.video.matroska import write_pixel_aspect

CODECS = {"webm": ("libvpx-vp9", "yuva420p"), "matroska": ("ffv1", "gray16le")}


@pytest.fixture(params=["webm", "matroska"])
def path(request, tmp_path) -> Path:
    """A video of 720×576 with 30 frames in several clusters."""
    codec, pixel_format = CODECS[request.param]
    path = tmp_path / "video"
    options = {"write_crc32": "0", "cluster_time_limit": "400"}
    with av.open(path, "w", format=request.param, options=options) as container:
        stream = container.add_stream(codec, rate=25, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 720, 576, pixel_format
        for index in range(30):
            picture = np.full((576, 720, 4), index, np.uint8)
            frame = VideoFrame.from_ndarray(picture, format="rgba").reformat(format=pixel_format)
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def aspect_of(path: Path) -> Fraction | None:
    with av.open(path) as container:
        return container.streams.video[0].sample_aspect_ratio


def packets_of(path: Path) -> list[tuple[int, bytes]]:
    with av.open(path) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux() if packet.size]


def test_players_learn_the_shape_and_find_all_frames(path):
    assert aspect_of(path) in (None, 1)
    before, size = packets_of(path), path.stat().st_size
    assert write_pixel_aspect(path, Fraction(64, 45))
    assert aspect_of(path) == Fraction(64, 45)
    assert packets_of(path) == before
    assert path.stat().st_size == size
    with av.open(path) as container:
        assert container.duration == 1_200_000
        container.seek(1_000_000)  # by the index at the end
        assert next(container.decode(video=0)).time == 1.0


def test_another_shape_replaces_the_first(path):
    for aspect in (Fraction(16, 15), Fraction(8, 9)):
        assert write_pixel_aspect(path, aspect)
        assert aspect_of(path) == aspect


@pytest.mark.parametrize("length", [0, 3, 40, 60, 130, 260])
def test_other_files_are_left_as_they_are(length, path):
    damaged = path.read_bytes()[:length]
    path.write_bytes(damaged)
    assert not write_pixel_aspect(path, Fraction(64, 45))
    assert path.read_bytes() == damaged


def test_headers_that_leave_no_gap_are_left_as_they_are(path):
    data = path.read_bytes()
    begin = data.index(b"\xec\x01")  # the gap
    end = begin + 9 + int.from_bytes(data[begin + 2 : begin + 9], "big")
    without = data[:begin] + b"\xec\x80" + data[end:]
    path.write_bytes(without)
    assert not write_pixel_aspect(path, Fraction(64, 45))
    assert path.read_bytes() == without
