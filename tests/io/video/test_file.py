"""Every container and codec gives the same numbered frames, from the front, the back, or amid."""

from __future__ import annotations

import gc
import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
import torch
from PIL import Image

from fixtures.video_files import (
    VideoRecipe,
    cut_file,
    number_of,
    numbered_picture,
    write_numbered_video,
    write_pictures,
    write_sound,
)
from maskcast.core.errors import FrameError, MissingFileError, UsageError, VideoError
from maskcast.io.video.file import VideoFile, _turn
from maskcast.io.video.source import open_frames

B_FRAMES = {"g": "6", "bf": "3", "crf": "4"}

KINDS = {
    "b-frames.mp4": VideoRecipe(options=B_FRAMES),
    "mov.mov": VideoRecipe(options=B_FRAMES),
    "mkv.mkv": VideoRecipe(options=B_FRAMES),
    "vp9.webm": VideoRecipe(codec="libvpx-vp9", options={"g": "5", "crf": "4"}),
    "vp8.webm": VideoRecipe(codec="libvpx", options={"g": "5", "auto-alt-ref": "1", "b": "2M"}),
    "mpeg4.avi": VideoRecipe(
        codec="mpeg4", time_base=Fraction(1, 25), tick=lambda i: i, options={"b": "9M", "bf": "2"}
    ),
    "mjpeg.avi": VideoRecipe(
        codec="mjpeg",
        pixel_format="yuvj420p",
        time_base=Fraction(1, 25),
        tick=lambda i: i,
        options={},
    ),
    "ten-bit.mkv": VideoRecipe(codec="libx265", pixel_format="yuv420p10le", options={
        "x265-params": "log-level=none:crf=4:keyint=5"
    }),
    "odd.mkv": VideoRecipe(codec="ffv1", pixel_format="bgr0", size=(33, 47), options={"g": "1"}),
    "variable.mp4": VideoRecipe(tick=lambda i: 33 * i + 5 * (i % 3) + 7 * (i > 6)),
    "late.mkv": VideoRecipe(tick=lambda i: 40 * i + 1234),
}  # fmt: skip


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, VideoRecipe]:
    recipe = KINDS[request.param]
    return write_numbered_video(tmp_path / request.param, recipe), recipe


def test_frames_are_read_in_order(kind):
    path, recipe = kind
    source = open_frames(path)
    assert source.size == recipe.size
    assert source.count == recipe.count
    assert [number_of(picture) for picture in source.pictures()] == list(range(recipe.count))


def test_threads_do_not_pile_up(tmp_path):
    pictures = [numbered_picture(number % 10, (48, 64)) for number in range(60)]
    path = write_pictures(tmp_path / "video.mp4", pictures, VideoRecipe())
    gc.disable()  # which would end those of frames that nobody holds any more
    try:
        before = psutil.Process().num_threads()
        seen = [psutil.Process().num_threads() for _ in open_frames(path).pictures()]
    finally:
        gc.enable()
    assert max(seen) - before < len(pictures) / 2


def test_any_stretch_is_the_same_as_reading_through(kind):
    path, recipe = kind
    source = open_frames(path)
    through = list(source.pictures())
    for start in (1, 4, 7, recipe.count - 1):
        for expected, found in zip(through[start:], source.pictures(start), strict=True):
            np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(source.picture(start), through[start])
    assert list(source.pictures(recipe.count)) == []
    backward = list(source.frames_backward())
    for expected, found in zip(reversed(list(source)), backward, strict=True):
        assert torch.equal(found, expected)
    part = [number_of(frame.permute(1, 2, 0).numpy() * 255) for frame in source.frames_backward(8)]
    assert part == list(range(8, -1, -1))


def test_a_long_group_of_pictures_is_decoded_backward_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("maskcast.io.video.source.BACKWARD_BYTES", 1)  # eight frames at least
    recipe = VideoRecipe(count=20, options={"g": "100", "crf": "4"})
    source = open_frames(write_numbered_video(tmp_path / "a.mp4", recipe))
    backward = [number_of(f.permute(1, 2, 0).numpy() * 255) for f in source.frames_backward()]
    assert backward == list(range(19, -1, -1))


def test_presentation_times_are_kept(kind):
    path, recipe = kind
    timing = open_frames(path).timing
    assert timing is not None
    offset = timing.seconds(0) - recipe.tick(0) * recipe.time_base
    assert offset in (0, Fraction(1, 25))  # AVI with B-frames can only begin a frame late
    for frame_index in range(recipe.count):
        expected = recipe.tick(frame_index) * recipe.time_base + offset
        assert abs(timing.seconds(frame_index) - expected) <= Fraction(1, 2000)


@pytest.mark.parametrize(
    ("rotation", "size", "corner"),
    [  # PyAV counts the rotation counter-clockwise; the white square starts at the top left
        (0, (48, 64), ("top", "left")),
        (90, (64, 48), ("bottom", "left")),
        (180, (48, 64), ("bottom", "right")),
        (-90, (64, 48), ("top", "right")),
    ],
)
def test_rotation_is_undone(tmp_path, rotation, size, corner):
    recipe = VideoRecipe(rotation=rotation, count=2)
    source = open_frames(write_numbered_video(tmp_path / "turned.mp4", recipe))
    assert source.size == size
    picture = source.picture(0)
    brightness = {
        (row, column): picture[y, x].mean()
        for row, y in (("top", 3), ("bottom", -4))
        for column, x in (("left", 3), ("right", -4))
    }
    assert max(brightness, key=lambda key: brightness[key]) == corner


def test_the_display_matrix_of_a_phone_held_upright():
    # ISO 14496-12: x' = a·x + c·y + tx, y' = b·x + d·y + ty; phones write a = d = 0, b = 1, c = -1,
    # tx = height: the stored top left (0, 0) is shown at (height, 0), the top right
    matrix = struct.pack("<9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 2 << 16, 0, 1 << 30)
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    shown = _turn(np.repeat(stored[..., None], 3, axis=2), matrix)[..., 0]
    np.testing.assert_array_equal(shown, [[3, 0], [4, 1], [5, 2]])


def test_a_mirrored_display_matrix():
    matrix = struct.pack("<9i", -(1 << 16), 0, 0, 0, 1 << 16, 0, 3 << 16, 0, 1 << 30)
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    shown = _turn(np.repeat(stored[..., None], 3, axis=2), matrix)[..., 0]
    np.testing.assert_array_equal(shown, [[2, 1, 0], [5, 4, 3]])


def test_colours_come_back(tmp_path):
    size = (32, 96)
    picture = np.zeros((*size, 3), dtype=np.uint8)
    picture[:, :32], picture[:, 32:64], picture[:, 64:] = (
        (220, 30, 40),
        (30, 200, 60),
        (20, 40, 210),
    )
    path = write_pictures(tmp_path / "colours.mp4", [picture] * 3, VideoRecipe())
    found = open_frames(path).picture(1)
    for x in (16, 48, 80):
        np.testing.assert_allclose(found[16, x].astype(int), picture[16, x], atol=6)


def test_an_edit_list_hides_the_beginning(tmp_path):
    whole = write_numbered_video(
        tmp_path / "whole.mp4", VideoRecipe(options={"g": "12", "bf": "2"})
    )
    edited = tmp_path / "edited.mp4"
    with (
        av.open(whole) as source,
        av.open(edited, "w", options={"avoid_negative_ts": "disabled"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        early = 5 * 40 * 16  # five frames in the file's ticks of 1/16000 s
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None and packet.pts is not None:
                packet.pts, packet.dts = packet.pts - early, packet.dts - early
                packet.stream = stream
                target.mux(packet)
    frames = open_frames(edited)
    assert [number_of(picture) for picture in frames.pictures()] == [5, 6, 7, 8, 9, 10, 11]
    assert number_of(frames.picture(3)) == 8


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (3, 6, [3, 4, 5]),
        ("3", None, list(range(3, 12))),
        ("0.1s", "0.2", [3, 4]),  # 80 ms is too early, 200 ms is no longer wanted
        ("0:00.16", "0:00:00.20s", [4]),
        (None, 99, list(range(12))),
    ],
)
def test_start_and_end_are_frames_or_times(tmp_path, start, end, expected):
    source = open_frames(write_numbered_video(tmp_path / "a.mp4"), start=start, end=end)
    assert [number_of(picture) for picture in source.pictures()] == expected
    assert source.names == [f"{number:05d}" for number in expected]
    assert source.first == expected[0]
    assert source.timing is not None
    assert source.timing.seconds(0) == 0


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (12, None, "is after the last frame"),
        (5, 5, "no frames between"),
        ("soon", None, "must be a frame number"),
        (-1, None, "must be a frame number"),
    ],
)
def test_an_impossible_stretch_is_refused(tmp_path, start, end, message):
    path = write_numbered_video(tmp_path / "a.mp4")
    with pytest.raises(UsageError, match=message):
        open_frames(path, start=start, end=end)


def test_a_file_with_sound_only(tmp_path):
    with pytest.raises(VideoError, match="only audio"):
        open_frames(write_sound(tmp_path / "song.mp4"))


@pytest.mark.parametrize("content", [b"", b"this is a text\n" * 50, bytes(range(256)) * 20])
def test_a_file_that_is_no_video(tmp_path, content):
    path = tmp_path / "notes.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"is not a supported video|is empty"):
        open_frames(path)


def test_what_can_be_read_only_once_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for source in (tmp_path / "pipe.mp4", Path("-"), Path("/dev/stdin")):
        with pytest.raises(VideoError, match="read twice, so pipes and devices are not supported"):
            open_frames(source)


def test_an_address_is_not_taken_for_a_missing_file():
    with pytest.raises(
        MissingFileError, match=r"URLs are not supported .https://example.org/dog.mp4.; download"
    ):
        open_frames(Path("https://example.org/dog.mp4"))


def test_a_single_picture_is_no_video(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "00000.png")
    with pytest.raises(VideoError, match="is an image; give a video file, or the folder"):
        open_frames(tmp_path / "00000.png")


def test_a_playlist_cannot_open_other_files(tmp_path):
    write_numbered_video(tmp_path / "other.mp4")
    playlist = tmp_path / "list.mkv"
    playlist.write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(VideoError, match="is not a supported video"):
        open_frames(playlist)


@pytest.mark.parametrize(
    "name",
    ["кино 猫.mp4", "a:b.mp4", "http:x.mp4", "concat:a|b.mp4", "line\nbreak.mp4", "%03d.mp4"],
)
def test_names_are_only_names(tmp_path, name, monkeypatch):
    write_numbered_video(tmp_path / "plain.mp4", VideoRecipe(count=2))
    (tmp_path / "plain.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert open_frames(Path(name)).count == 2


def test_a_video_without_frames(tmp_path):
    path = tmp_path / "none.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(VideoError, match="has no video"):
        open_frames(path)


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.webm", "cut.avi"])
def test_a_cut_file_says_where_it_breaks_off(tmp_path, name):
    codec = {"webm": "libvpx-vp9", "avi": "mpeg4"}.get(name[4:], "libx264")
    recipe = VideoRecipe(
        codec=codec,
        count=24,
        time_base=Fraction(1, 25) if codec == "mpeg4" else Fraction(1, 1000),
        tick=(lambda i: i) if codec == "mpeg4" else (lambda i: 40 * i),
        options={"g": "5"},
        container_options={"movflags": "faststart"} if name.endswith("mp4") else {},
    )
    noise = np.random.default_rng(0).integers(-8, 9, (24, *recipe.size, 3))
    pictures = [
        np.clip(numbered_picture(number, recipe.size) + noise[number], 0, 255).astype(np.uint8)
        for number in range(24)
    ]
    path = cut_file(write_pictures(tmp_path / name, pictures, recipe), 0.8)
    with pytest.raises(VideoError, match=r"cut off after frame \d+") as caught:
        open_frames(path)
    whole = int(str(caught.value).split("after frame ")[1].split(";")[0])
    kept = list(open_frames(path, end=whole + 1).pictures())
    assert [number_of(picture) for picture in kept] == list(range(whole + 1))
    held = open_frames(path, on_bad_frame="hold")
    assert sum(1 for _ in held) == whole + 1


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.avi"])
def test_a_file_cut_in_its_header(tmp_path, name):
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    path = write_numbered_video(tmp_path / name, VideoRecipe(codec=codec, options={}))
    cut_file(path, 300 / path.stat().st_size)
    with pytest.raises(VideoError, match="cut off"):
        open_frames(path)


def write_damaged(path: Path, *numbers: int) -> Path:
    """Write a video of which these frames cannot be decoded."""
    recipe = VideoRecipe(codec="mjpeg", pixel_format="yuvj420p", options={})
    write_numbered_video(path, recipe)
    with av.open(path) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    content = path.read_bytes()
    for number in numbers:
        content = content.replace(packets[number], b"\0" * len(packets[number]))
    path.write_bytes(content)
    return path


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A video whose frames 6 and 7 cannot be decoded."""
    return write_damaged(tmp_path / "damaged.mkv", 6, 7)


def test_a_damaged_frame_stops_and_is_named(damaged):
    frames = open_frames(damaged).pictures()
    assert [number_of(next(frames)) for _ in range(6)] == list(range(6))
    with pytest.raises(FrameError, match=r"frame 6 \(at 0.24 s\) of damaged.mkv is damaged.*hold"):
        next(frames)


def test_a_damaged_frame_is_held_however_it_is_reached(damaged):
    source = open_frames(damaged, on_bad_frame="hold")
    expected = [0, 1, 2, 3, 4, 5, 5, 5, 8, 9, 10, 11]
    assert [number_of(picture) for picture in source.pictures()] == expected
    assert [number_of(picture) for picture in source.pictures(7)] == expected[7:]
    backward = [number_of(f.permute(1, 2, 0).numpy() * 255) for f in source.frames_backward()]
    assert backward == expected[::-1]


def test_a_stretch_that_begins_on_a_damaged_frame_holds_the_one_before_it(damaged):
    source = open_frames(damaged, start=6, on_bad_frame="hold")
    assert number_of(source.picture(0)) == 5


def test_a_damaged_first_frame_cannot_be_held(tmp_path):
    path = write_damaged(tmp_path / "damaged.mkv", 0, 1)
    with pytest.raises(FrameError, match=r"frame 0 .* is damaged, and there is no earlier frame"):
        list(open_frames(path, on_bad_frame="hold"))


def test_a_frame_that_asks_for_what_no_decoder_can_is_a_damaged_one(tmp_path):
    recipe = VideoRecipe(codec="mjpeg", pixel_format="yuvj420p", options={})
    path = write_numbered_video(tmp_path / "a.avi", recipe)
    parts = path.read_bytes().split(b"\xff\xc0")  # where the header of a picture begins
    header = bytearray(parts[4])
    header[9] = 0x44  # brightness with 4 × 4 samples where the decoder knows 1 and 2
    path.write_bytes(b"\xff\xc0".join([*parts[:4], bytes(header), *parts[5:]]))
    with pytest.raises(FrameError, match=r"frame 3 .* is damaged"):
        list(open_frames(path))
    held = [number_of(picture) for picture in open_frames(path, on_bad_frame="hold").pictures()]
    assert held == [0, 1, 2, 2, *range(4, 12)]


def test_frames_that_change_size(tmp_path):
    small = write_numbered_video(tmp_path / "small.ts", VideoRecipe(count=5))
    large = write_numbered_video(tmp_path / "large.ts", VideoRecipe(count=5, size=(64, 80)))
    joined = tmp_path / "joined.h264"
    parts = []
    for path in (small, large):
        raw = path.with_suffix(".h264")
        with av.open(path) as source, av.open(raw, "w") as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        parts.append(raw.read_bytes())
    joined.write_bytes(b"".join(parts))
    frames = open_frames(joined).pictures()
    with pytest.raises(FrameError, match=r"80×64 but the frames before it are 64×48"):
        list(frames)


def test_a_huge_frame_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    path = write_numbered_video(tmp_path / "a.mp4")
    monkeypatch.setattr("maskcast.io.video.container.LARGEST_PICTURE", 1000)
    with pytest.raises(VideoError, match="64×48 pixels; rejected as a decompression bomb"):
        open_frames(path)


def test_a_description(tmp_path):
    recipe = VideoRecipe(tick=lambda i: 40 * i + (i > 3) * 100)
    path = write_numbered_video(tmp_path / "a.mp4", recipe)
    text = "\n".join(VideoFile(path).describe())
    for part in ("h264", "frames    12", "64×48", "variable"):
        assert part in text


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_told(tmp_path, transfer, name, caplog):
    path = write_numbered_video(tmp_path / "a.mp4", VideoRecipe(count=2, transfer=transfer))
    assert f"HDR ({name})" in open_frames(path).describe()[0]
    assert f"HDR ({name}) and is read without tone mapping" in caplog.text
    assert "HDR" not in open_frames(write_numbered_video(tmp_path / "b.mp4")).describe()[0]


def test_numbers_in_pictures_are_told_apart():
    for number in range(24):
        assert number_of(numbered_picture(number, (48, 64))) == number
