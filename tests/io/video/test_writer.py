"""Written videos are read back: times exactly, colours nearly, alpha where there is one."""

from __future__ import annotations

import dataclasses
import resource
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from fixtures.video_files import cut_file, number_of, numbered_picture
from maskcast.core.errors import OutputError
from maskcast.io.video.formats import FORMATS, VideoKind
from maskcast.io.video.reader import Timing
from maskcast.io.video.source import open_frames
from maskcast.io.video.writer import open_video_writer

TIMINGS = {
    "ntsc": Timing(Fraction(1, 30000), tuple(1001 * i for i in range(8))),
    "variable": Timing(Fraction(1, 1000), tuple(33 * i + 5 * (i % 3) + 7 for i in range(8))),
}


def picture_for(kind: VideoKind, number: int, size: tuple[int, int]) -> np.ndarray:
    picture = numbered_picture(number, size)
    if FORMATS[kind].channels == 3:
        return picture
    if FORMATS[kind].channels == 1:
        return picture[..., 0].astype(np.uint16) * 257
    alpha = np.zeros((*size, 1), dtype=np.uint8)
    alpha[size[0] // 4 :] = 255
    return np.concatenate([picture, alpha], axis=2)


def write(
    path: Path,
    kind: VideoKind,
    timing: Timing,
    size: tuple[int, int] = (48, 64),
    *,
    interrupt_at: int | None = None,
) -> tuple[Path, list[int]]:
    """Write the frames that are wanted; return the path and their numbers."""
    parts = path.with_name("parts")
    opened = open_video_writer(path, kind, size=size, timing=timing, parts=parts)
    with opened as (first, write_frame):
        numbers = list(range(first, len(timing.ticks)))
        for number in numbers:
            if number == interrupt_at:
                raise KeyboardInterrupt
            write_frame(picture_for(kind, number, size))
    return path, numbers


def files_in(folder: Path) -> dict[str, int]:
    """Return the inode of each file by name."""
    return {path.name: path.stat().st_ino for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    """Eight frames are three parts."""
    for kind, format_ in FORMATS.items():
        monkeypatch.setitem(FORMATS, kind, dataclasses.replace(format_, part_frames=3))


@pytest.mark.parametrize("timing", TIMINGS.values(), ids=TIMINGS)
@pytest.mark.parametrize("size", [(48, 64), (47, 63)], ids=["even", "odd"])
@pytest.mark.parametrize("kind", FORMATS)
def test_frames_and_times_come_back(tmp_path, kind, size, timing):
    path, _ = write(tmp_path / f"v{FORMATS[kind].suffix}", kind, timing, size)
    source = open_frames(path)
    found = [number_of(picture[: size[0], : size[1]]) for picture in source.pictures()]
    assert found == list(range(8))
    rounding = Fraction(1, 2000) if kind in ("vp9", "ffv1") else 0  # Matroska has milliseconds
    assert source.timing is not None
    for frame_index in range(8):
        difference = source.timing.seconds(frame_index) - timing.seconds(frame_index)
        assert abs(difference) <= rounding
    if kind == "h264":
        assert source.timing.time_base == timing.time_base


def test_prores_keeps_alpha(tmp_path):
    path, _ = write(tmp_path / "v.mov", "prores", TIMINGS["ntsc"])
    with av.open(path) as container:
        assert container.streams.video[0].codec_context.codec_tag == "ap4h"  # 4444
        rgba = [frame.to_ndarray(format="rgba") for frame in container.decode(video=0)]
    assert {picture[4, 32, 3] for picture in rgba} == {0}
    assert {picture[40, 32, 3] for picture in rgba} == {255}


def test_webm_keeps_alpha(tmp_path):
    path, _ = write(tmp_path / "v.webm", "vp9", TIMINGS["ntsc"])
    decoder = av.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own decoder drops the alpha
    with av.open(path) as container:
        assert container.streams.video[0].metadata["alpha_mode"] == "1"  # what browsers look for
        packets = [packet for packet in container.demux(video=0) if packet.size]
    rgba = [decoder.decode(packet)[0].to_ndarray(format="rgba") for packet in packets]
    assert len(rgba) == 8
    assert max(picture[4, 32, 3] for picture in rgba) <= 2
    assert min(picture[40, 32, 3] for picture in rgba) >= 253


@pytest.mark.parametrize("kind", FORMATS)
def test_a_player_is_told_the_whole_duration(tmp_path, kind):
    path, _ = write(tmp_path / f"v{FORMATS[kind].suffix}", kind, TIMINGS["ntsc"])
    with av.open(path) as container:
        assert container.duration == pytest.approx(8 * 1001 / 30000 * 1e6, abs=1000)
        assert container.streams.video[0].average_rate == pytest.approx(30000 / 1001, rel=1e-3)


@pytest.mark.parametrize("kind", FORMATS)
def test_frames_may_be_hours_apart(tmp_path, kind):
    hourly = Timing(Fraction(1, 1000), range(0, 8 * 3_600_000, 3_600_000))
    path, _ = write(tmp_path / f"v{FORMATS[kind].suffix}", kind, hourly)
    timing = open_frames(path).timing
    assert [timing.seconds(i) for i in range(8)] == [3600 * i for i in range(8)]


@pytest.mark.parametrize("kind", FORMATS)
def test_an_interrupted_video_goes_on_after_its_parts_and_ends_alike(tmp_path, kind):
    name, parts = f"v{FORMATS[kind].suffix}", tmp_path / "parts"
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / name, kind, TIMINGS["variable"], interrupt_at=5)
    assert not (tmp_path / name).exists()
    (first_part,) = files_in(parts).items()
    path, written = write(tmp_path / name, kind, TIMINGS["variable"])
    assert written == [3, 4, 5, 6, 7]
    assert first_part in files_in(parts).items()
    (tmp_path / "unbroken").mkdir()
    unbroken, _ = write(tmp_path / "unbroken" / name, kind, TIMINGS["variable"])
    times, content = packets_of(path)
    assert times == packets_of(unbroken)[0]
    if kind != "h264":  # x264 is not the same twice to the bit
        assert content == packets_of(unbroken)[1]
    assert write(tmp_path / name, kind, TIMINGS["variable"])[1] == []  # it only has to be joined


def packets_of(path: Path) -> tuple[list[tuple[int | None, int | None]], list[bytes]]:
    with av.open(path) as container:
        packets = list(container.demux(video=0))
        return [(each.pts, each.dts) for each in packets], [bytes(each) for each in packets]


def test_parts_of_a_video_with_other_times_are_not_taken(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "v.mp4", "h264", TIMINGS["variable"], interrupt_at=5)
    _, written = write(tmp_path / "v.mp4", "h264", TIMINGS["ntsc"])
    assert written == list(range(8))


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_part_is_made_anew(tmp_path, kind, kept):
    name = f"v{FORMATS[kind].suffix}"
    write(tmp_path / name, kind, TIMINGS["ntsc"])
    (tmp_path / name).unlink()
    (part,) = (tmp_path / "parts").rglob(f"00000003{FORMATS[kind].suffix}")
    cut_file(part, kept)
    with pytest.raises(OutputError, match="was damaged and has been removed; export again"):
        write(tmp_path / name, kind, TIMINGS["ntsc"])
    path, written = write(tmp_path / name, kind, TIMINGS["ntsc"])
    assert written == [3, 4, 5, 6, 7]
    assert open_frames(path).count == 8


def test_a_failure_leaves_no_half_file(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "v.mp4", "h264", TIMINGS["ntsc"], interrupt_at=1)
    assert files_in(tmp_path) == {}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_system_without_room(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 4), dtype=np.uint8)
    channels = FORMATS[kind].channels
    noise = noise[..., 0].astype(np.uint16) * 257 if channels == 1 else noise[..., :channels]
    timing = Timing(Fraction(1, 25), tuple(range(30)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write_much() -> None:
        path, parts = tmp_path / "v", tmp_path / "parts"
        opened = open_video_writer(path, kind, size=(64, 96), timing=timing, parts=parts)
        with opened as (_, write_frame):
            for _ in timing.ticks:
                write_frame(noise)

    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*: the file is too large"):
            write_much()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert files_in(tmp_path) == {}


def test_a_folder_with_a_colon_is_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, _ = write(Path("file:a") / "v.mp4", "h264", TIMINGS["ntsc"])
    assert (tmp_path / path).is_file()


def test_a_missing_encoder_is_named(tmp_path, monkeypatch):
    lacking = dataclasses.replace(FORMATS["h264"], codec="libnonesuch")
    monkeypatch.setitem(FORMATS, "h264", lacking)
    with pytest.raises(OutputError, match="has no encoder libnonesuch"):
        write(tmp_path / "v.mp4", "h264", TIMINGS["ntsc"])


def test_joining_reports_its_progress_and_can_be_interrupted(tmp_path):
    path, reported = tmp_path / "v.mp4", []

    def interrupt(work: str, done: int, total: int | None) -> None:
        reported.append((work, done, total))
        if done == 6:
            raise KeyboardInterrupt

    def joined(progress) -> None:
        timing, parts = TIMINGS["ntsc"], tmp_path / "parts"
        with open_video_writer(
            path, "h264", size=(48, 64), timing=timing, parts=parts, progress=progress
        ) as (first, write_frame):
            for number in range(first, 8):
                write_frame(picture_for("h264", number, (48, 64)))

    with pytest.raises(KeyboardInterrupt):
        joined(interrupt)
    assert reported == [("joining v.mp4", 3, 8), ("joining v.mp4", 6, 8)]
    assert [file.name for file in tmp_path.iterdir()] == ["parts"]
    joined(None)
    assert open_frames(path).count == 8
