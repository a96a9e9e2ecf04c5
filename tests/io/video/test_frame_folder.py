"""Folders of pictures: their order, their faults, and what is done about a damaged frame."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from fixtures.video_files import number_of, numbered_picture
from maskcast.core.errors import FrameError, MissingFileError, UsageError, VideoError
from maskcast.io.video.frame_folder import gaps_in
from maskcast.io.video.source import describe_video, open_frames


def write_frames(folder: Path, names: list[str], size: tuple[int, int] = (48, 64)) -> Path:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        Image.fromarray(numbered_picture(number, size)).save(folder / name, quality=100)
    return folder


def numbers(folder: Path, **options) -> list[int]:
    return [number_of(picture) for picture in open_frames(folder, **options).pictures()]


def test_frames_come_in_name_order_with_gaps_and_endings_of_any_case(tmp_path):
    folder = write_frames(tmp_path / "f", ["00001.jpg", "00005.JPG", "00006.png", "00100.JPEG"])
    (folder / "notes.txt").write_text("not a frame")
    (folder / "._00002.jpg").write_bytes(b"left by another system")
    source = open_frames(folder)
    assert source.names == ["00001", "00005", "00006", "00100"]
    assert (source.size, source.count, source.timing) == ((48, 64), 4, None)
    assert numbers(folder) == [0, 1, 2, 3]
    backward = [
        number_of(frame.permute(1, 2, 0).numpy() * 255) for frame in source.frames_backward()
    ]
    assert backward == [3, 2, 1, 0]


def test_frames_are_rgb_from_0_to_1(tmp_path):
    picture = np.array([[[255, 0, 51], [0, 102, 0]]], dtype=np.uint8)
    (tmp_path / "f").mkdir()
    Image.fromarray(picture).save(tmp_path / "f" / "0.png")
    (frame,) = open_frames(tmp_path / "f")
    expected = torch.tensor([[[1.0, 0.0]], [[0.0, 0.4]], [[0.2, 0.0]]])
    torch.testing.assert_close(frame, expected, rtol=0, atol=1e-7)
    assert frame.is_contiguous()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "I;16", "LA"])
def test_pictures_of_every_mode_become_rgb(tmp_path, mode):
    (tmp_path / "f").mkdir()
    grey = np.array([[0, 255], [255, 0]], dtype=np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        picture = Image.fromarray(grey).convert("RGB").convert(mode)
    picture.save(tmp_path / "f" / "0.png")
    found = open_frames(tmp_path / "f").picture(0)
    np.testing.assert_array_equal(found, np.repeat(grey[:, :, None], 3, axis=2))


def test_the_orientation_that_a_camera_noted_is_undone(tmp_path):
    (tmp_path / "f").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to show
    picture = Image.fromarray(numbered_picture(3, (48, 64)))
    picture.save(tmp_path / "f" / "0.jpg", exif=exif, quality=100)
    source = open_frames(tmp_path / "f")
    assert source.size == (64, 48)
    assert source.picture(0)[3, -4].mean() > 200  # the white square moves to the top right


@pytest.mark.parametrize("notes", [b"Exif\0\0XX\0*\0\0\0\x08", b"Exif\0\0MM\0*"])
def test_notes_of_a_camera_that_are_damaged_turn_nothing(tmp_path, notes):
    (tmp_path / "f").mkdir()
    Image.fromarray(numbered_picture(3, (48, 64))).save(tmp_path / "f" / "0.webp", exif=notes)
    assert open_frames(tmp_path / "f").size == (48, 64)


@pytest.mark.parametrize(
    ("names", "first", "second"),
    [
        (["frame1.png", "frame2.png", "frame10.png"], "frame10.png", "frame2.png"),
        (["9.jpg", "10.jpg"], "10.jpg", "9.jpg"),
    ],
)
def test_an_order_that_depends_on_the_reader_is_refused(tmp_path, names, first, second):
    folder = write_frames(tmp_path / "f", names)
    with pytest.raises(
        VideoError, match=f"is ambiguous: {first} comes first by name, {second} by number"
    ):
        open_frames(folder)


def test_the_same_frame_twice_is_refused(tmp_path):
    folder = write_frames(tmp_path / "f", ["00000.jpg", "00000.png"])
    one = r"has two files for frame 00000 \(00000.jpg, 00000.png\); remove one"
    with pytest.raises(VideoError, match=one):
        open_frames(folder)
    write_frames(tmp_path / "f", ["00001.jpg", "00001.png"])
    with pytest.raises(VideoError, match="several files for the same frame") as caught:
        open_frames(folder)
    assert len(caught.value.details) == 2
    assert re.search(one, caught.value.details[0])


def test_nothing_there(tmp_path):
    with pytest.raises(MissingFileError, match=r"video .* does not exist"):
        open_frames(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VideoError, match=r"has no frames.*it is empty"):
        open_frames(tmp_path / "empty")
    (tmp_path / "empty" / "a.txt").write_text("")
    with pytest.raises(VideoError, match=r"it contains \.txt"):
        open_frames(tmp_path / "empty")


def test_a_corrupt_frame_is_named_or_held(tmp_path):
    folder = write_frames(tmp_path / "f", [f"{i:03d}.png" for i in range(5)])
    whole = (folder / "002.png").read_bytes()
    (folder / "002.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        FrameError, match=r"cannot read frame 2: .*002\.png.*set on_bad_frame to 'hold'"
    ):
        numbers(folder)
    assert numbers(folder, on_bad_frame="hold") == [0, 1, 1, 3, 4]
    assert numbers(folder, on_bad_frame="hold", start=2) == [1, 3, 4]
    (folder / "000.png").write_bytes(b"")
    with pytest.raises(FrameError, match=r"cannot read frame 0: .*no earlier frame to hold"):
        numbers(folder, on_bad_frame="hold")
    assert numbers(folder, start=3) == [3, 4]
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(FrameError, match="cannot read frame 0: "):
        open_frames(folder, start=3)


def test_a_link_that_leads_nowhere_is_no_gap(tmp_path):
    folder = write_frames(tmp_path / "f", [f"{i:03d}.png" for i in range(3)])
    (folder / "001.png").unlink()
    (folder / "001.png").symlink_to("nowhere.png")
    with pytest.raises(FrameError, match=r"cannot read frame 1: .*001\.png"):
        numbers(folder)
    assert numbers(folder, on_bad_frame="hold") == [0, 0, 2]


def test_a_frame_of_another_size(tmp_path):
    folder = write_frames(tmp_path / "f", ["000.png", "001.png"])
    Image.fromarray(numbered_picture(2, (50, 64))).save(folder / "002.png")
    with pytest.raises(FrameError, match=r"002\.png is 64×50 but the frames before it are 64×48"):
        numbers(folder, on_bad_frame="hold")


def test_a_decompression_bomb(tmp_path, monkeypatch):
    folder = write_frames(tmp_path / "f", ["000.png"])
    monkeypatch.setattr("maskcast.io.pictures.LARGEST_PICTURE", 1000)
    with pytest.raises(FrameError, match="decompression bomb"):
        open_frames(folder)


def test_a_folder_has_no_times(tmp_path):
    folder = write_frames(tmp_path / "f", ["000.png", "001.png"])
    with pytest.raises(UsageError, match="a folder of frames has no times"):
        open_frames(folder, start="1.5s")
    assert numbers(folder, start=1) == [1]


def test_names_may_be_of_any_language(tmp_path):
    folder = write_frames(tmp_path / "f", ["кадр 01.png", "кадр 02.png"])
    assert open_frames(folder).names == ["кадр 01", "кадр 02"]


def test_a_description(tmp_path):
    lines = describe_video(write_frames(tmp_path / "f", ["000.png", "001.png"]))
    assert lines == ["frames    2 pictures, 000.png to 001.png", "size      64×48"]


@pytest.mark.parametrize(
    "order",
    [
        ["-10", "-9", "-1", "0", "1"],
        ["-2", "-1"],
        ["-1", "+0", "+1", "+10"],
        ["t-2", "t-1", "t0", "t1"],
        ["frame_-1", "frame_0", "frame_12"],
    ],
)
def test_names_with_signs_come_in_the_order_of_their_values(tmp_path, order):
    folder = write_frames(tmp_path / "f", [f"{name}.png" for name in order])
    assert open_frames(folder).names == order
    assert numbers(folder) == list(range(len(order)))


def test_a_hyphen_before_every_number_is_no_sign(tmp_path):
    order = ["frame-1", "frame-2", "frame-3"]
    assert open_frames(write_frames(tmp_path / "f", [f"{n}.png" for n in order])).names == order


def test_two_names_of_one_value_are_refused(tmp_path):
    folder = write_frames(tmp_path / "f", ["-1.png", "+1.png", "1.png"])
    with pytest.raises(VideoError, match="is ambiguous: two have one number"):
        open_frames(folder)


def test_files_that_are_no_frames_can_be_excluded(tmp_path):
    folder = write_frames(tmp_path / "f", ["a_0.png", "a_1.png", "mask.png"])
    (tmp_path / "link").symlink_to(folder)
    for mask in (folder / "mask.png", tmp_path / "link" / "mask.png"):
        assert open_frames(folder, exclude=[mask]).names == ["a_0", "a_1"]


@pytest.mark.parametrize(
    ("names", "gaps"),
    [
        (["1001", "1002", "1005", "1006"], ["1002 and 1005"]),
        (["a_01", "a_02", "a_04", "a_05", "a_09"], ["a_02 and a_04", "a_05 and a_09"]),
        (["00000", "00005", "00010", "00020"], ["00010 and 00020"]),  # every fifth frame
        (["00000", "00005", "00010"], []),
        (["1", "7"], []),  # two frames have no usual step
        (["7"], []),
        (["a", "b1", "b3"], []),
        (["a1", "b3", "b4"], []),  # other beginnings
        (["1" * 5000 + "1", "1" * 5000 + "2"], []),
    ],
)
def test_gaps_in_numbered_frames_are_found(names, gaps):
    assert gaps_in(names) == gaps


def test_gaps_are_reported(tmp_path, caplog):
    for number in (1, 2, 5, 6):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number:03d}.png")
    frames = open_frames(tmp_path)
    assert "no frame between 002 and 005" in caplog.text
    assert frames.describe()[-1] == "note      no frame between 002 and 005"


@pytest.mark.parametrize(("largest", "is_warned"), [(1023, True), (4095, True), (65535, False)])
def test_few_bits_in_sixteen_are_reported(tmp_path, caplog, largest, is_warned):
    grey = np.linspace(0, largest, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(grey).save(tmp_path / "0.png")
    assert open_frames(tmp_path).count == 1
    assert ("which has 16 bits, end at" in caplog.text) == is_warned


def test_few_bits_in_sixteen_of_colour_are_reported(tmp_path, caplog):
    frame = av.VideoFrame.from_ndarray(np.full((8, 8, 3), 1000, np.uint16), "rgb48le")
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 8, 8, "rgb48be"
    encoder.time_base = Fraction(1, 25)
    (packet,) = [*encoder.encode(frame.reformat(format="rgb48be")), *encoder.encode(None)]
    (tmp_path / "0.png").write_bytes(bytes(packet))
    open_frames(tmp_path)
    assert "0.png, which has 16 bits, end at 1023 of 65535" in caplog.text


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_animations_and_pages_are_named(tmp_path, name):
    pages = [Image.new("RGB", (8, 8), (80 * i, 0, 0)) for i in range(3)]
    pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
    with pytest.raises(FrameError, match=r"has 3 (pages|frames of an animation); save the one"):
        open_frames(tmp_path)
    with pytest.raises(VideoError, match="is an animation of 3 pictures, which is not read"):
        open_frames(tmp_path / name)


def test_tiff_frames_are_read(tmp_path):
    for number in range(2):
        Image.new("RGB", (8, 6), (number, 2, 3)).save(tmp_path / f"{number}.tif")
    assert [picture[0, 0].tolist() for picture in open_frames(tmp_path).pictures()] == [
        [0, 2, 3],
        [1, 2, 3],
    ]


def test_frames_of_floating_point_values_are_refused(tmp_path):
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "0.tif")
    with pytest.raises(FrameError, match=r"0\.tif has floating-point values; save frames with 8"):
        open_frames(tmp_path)
