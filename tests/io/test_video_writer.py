"""Written videos are read back: times exactly, colours nearly, alpha where there is one."""

from __future__ import annotations

import dataclasses
import resource
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from fixtures.video_files import number_of, numbered_picture
from maskcast.core.errors import OutputError
from maskcast.io.pictures import Timing
from maskcast.io.video import open_frames
from maskcast.io.video_writer import FORMATS, SUFFIXES, VideoKind, open_video_writer

TIMINGS = {
    "ntsc": Timing(Fraction(1, 30000), tuple(1001 * i for i in range(8))),
    "variable": Timing(Fraction(1, 1000), tuple(33 * i + 5 * (i % 3) + 7 for i in range(8))),
}


def picture_for(kind: VideoKind, number: int, size: tuple[int, int]) -> np.ndarray:
    picture = numbered_picture(number, size)
    if FORMATS[kind].channels == 3:
        return picture
    alpha = np.zeros((*size, 1), dtype=np.uint8)
    alpha[size[0] // 4 :] = 255
    return np.concatenate([picture, alpha], axis=2)


def write(path: Path, kind: VideoKind, timing: Timing, size: tuple[int, int]) -> Path:
    with open_video_writer(path, kind, size=size, timing=timing) as write_frame:
        for number in range(len(timing.ticks)):
            write_frame(picture_for(kind, number, size))
    return path


@pytest.mark.parametrize("timing", TIMINGS.values(), ids=TIMINGS)
@pytest.mark.parametrize("size", [(48, 64), (47, 63)], ids=["even", "odd"])
@pytest.mark.parametrize("kind", FORMATS)
def test_frames_and_times_come_back(tmp_path, kind, size, timing):
    path = write(tmp_path / f"v{SUFFIXES[kind]}", kind, timing, size)
    source = open_frames(path)
    found = [number_of(picture[: size[0], : size[1]]) for picture in source.pictures()]
    assert found == list(range(8))
    rounding = Fraction(1, 2000) if kind == "vp9" else 0  # WebM counts milliseconds
    assert source.timing is not None
    for frame_index in range(8):
        difference = source.timing.seconds(frame_index) - timing.seconds(frame_index)
        assert abs(difference) <= rounding
    if kind == "overlay":
        assert source.timing.time_base == timing.time_base


def test_prores_keeps_alpha(tmp_path):
    path = write(tmp_path / "v.mov", "prores", TIMINGS["ntsc"], (48, 64))
    with av.open(path) as container:
        rgba = next(container.decode(video=0)).to_ndarray(format="rgba")
    assert rgba[4, 32, 3] == 0
    assert rgba[40, 32, 3] == 255


def test_webm_keeps_alpha(tmp_path):
    path = write(tmp_path / "v.webm", "vp9", TIMINGS["ntsc"], (48, 64))
    decoder = av.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own decoder drops the alpha
    with av.open(path) as container:
        packet = next(container.demux(video=0))
        (frame,) = decoder.decode(packet)
    rgba = frame.to_ndarray(format="rgba")
    assert rgba[4, 32, 3] <= 2
    assert rgba[40, 32, 3] >= 253


def test_a_failure_leaves_no_file(tmp_path):
    def begin_and_fail() -> None:
        with open_video_writer(
            tmp_path / "v.mp4", "overlay", size=(48, 64), timing=TIMINGS["ntsc"]
        ) as write_frame:
            write_frame(numbered_picture(0, (48, 64)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin_and_fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_system_without_room(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 4), dtype=np.uint8)
    timing = Timing(Fraction(1, 25), tuple(range(30)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write_much() -> None:
        with open_video_writer(tmp_path / "v", kind, size=(64, 96), timing=timing) as write_frame:
            for _ in timing.ticks:
                write_frame(noise[..., : FORMATS[kind].channels])

    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*: the file would be too large"):
            write_much()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_encoder_is_named(tmp_path, monkeypatch):
    lacking = dataclasses.replace(FORMATS["overlay"], codec="libnonesuch")
    monkeypatch.setitem(FORMATS, "overlay", lacking)
    with pytest.raises(OutputError, match="without the encoder libnonesuch"):
        write(tmp_path / "v.mp4", "overlay", TIMINGS["ntsc"], (48, 64))
