"""Whatever a person gives, ``segment`` answers with one clear sentence and the right exit code."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cli.conftest import FRAMES, write_mask
from contract.coloured_video import SIZE, frames
from fixtures.video_files import VideoRecipe, cut_file, write_pictures, write_sound
from maskcast.core.config import config_to_dict
from maskcast.core.errors import OutputError
from maskcast.io.label_maps import read_label_map, write_label_map
from maskcast.io.weights.files import write_weights
from maskcast.io.weights.names import read_weights
from maskcast.methods.lwl.method import network_of
from maskcast.methods.lwl.presets import tiny
from maskcast.runs.folder import RunFolder


def pictures(count: int = FRAMES) -> list[np.ndarray]:
    return [(f.permute(1, 2, 0) * 255).round().byte().numpy() for f in frames(count)]


def write_video(path: Path, count: int = FRAMES) -> Path:
    recipe = VideoRecipe(size=SIZE, options={"g": "4", "crf": "1"})
    return write_pictures(path, pictures(count), recipe)


def test_a_real_video_file_is_segmented(segment, clip):
    write_video(clip / "ride.mp4")
    outcome = segment(video="ride.mp4")
    assert outcome.exit_code == 0
    assert len(list((clip / "out").glob("*.png"))) == FRAMES


def empty_video(folder: Path) -> str:
    (folder / "empty.mp4").write_bytes(b"")
    return "empty.mp4"


def text_as_video(folder: Path) -> str:
    (folder / "notes.mp4").write_text("no video at all\n" * 50)
    return "notes.mp4"


def sound_only(folder: Path) -> str:
    write_sound(folder / "sound.mp4")
    return "sound.mp4"


def empty_folder(folder: Path) -> str:
    (folder / "nothing").mkdir()
    return "nothing"


def truncated_video(folder: Path) -> str:
    # the index of an mkv comes last, so that what is left can be read
    cut_file(write_video(folder / "cut.mkv", 40), 0.6)
    return "cut.mkv"


def ambiguous_order(folder: Path) -> str:
    (folder / "video" / "00002.png").rename(folder / "video" / "2.png")
    (folder / "video" / "00003.png").rename(folder / "video" / "10.png")
    return "video"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: "none.mp4", "video none.mp4 does not exist"),
        (empty_video, "empty.mp4"),
        (text_as_video, "notes.mp4"),
        (sound_only, "sound.mp4"),
        (empty_folder, "nothing has no frames"),
        (truncated_video, "cut.mkv is cut off"),
        (ambiguous_order, "the order of the frames in video is ambiguous"),
    ],
)
def test_what_is_no_video(make, words, segment, clip):
    segment(video=make(clip)).assert_one_sentence(3, words)
    assert not (clip / "out").exists()


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def test_a_corrupt_frame_stops_the_run_by_name_and_keeps_what_was_done(segment, clip):
    spoil(clip / "video" / "00005.png")
    outcome = segment()
    assert outcome.exit_code == 3
    assert "00005.png" in outcome.error
    assert "Traceback" not in outcome.error
    assert len(list((clip / "out").glob("*.png"))) == 5
    card = json.loads((clip / "out" / "run.json").read_text())
    assert (card["status"], card["frames"]) == ("stopped", 5)
    held = segment("--on-bad-frame", "hold", "-o", "held")
    assert held.exit_code == 0
    assert len(list((clip / "held").glob("*.png"))) == FRAMES


def test_a_frame_of_another_size_is_named(segment, clip):
    Image.new("RGB", (40, 24)).save(clip / "video" / "00004.png")
    outcome = segment()
    assert outcome.exit_code == 3
    assert "00004.png" in outcome.error


def mask_of_another_size(folder: Path) -> None:
    write_label_map(folder / "first.png", np.ones((24, 31), dtype=np.int32))


def empty_mask(folder: Path) -> None:
    write_label_map(folder / "first.png", np.zeros(SIZE, dtype=np.int32))


def broken_mask(folder: Path) -> None:
    spoil(folder / "first.png")


def soft_mask(folder: Path) -> None:
    soft = np.linspace(0, 255, SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.uint8)
    Image.fromarray(soft).save(folder / "first.png")


def bomb(folder: Path) -> None:
    """A small file that says it is 1.6 billion pixels."""
    content = bytearray((folder / "first.png").read_bytes())
    content[16:24] = struct.pack(">II", 40_000, 40_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (folder / "first.png").write_bytes(content)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: (folder / "first.png").unlink(), "first.png"),
        (mask_of_another_size, "first.png"),
        (empty_mask, "first.png"),
        (broken_mask, "first.png"),
        (soft_mask, "--mask-threshold"),
        (bomb, "decompression bomb"),
    ],
)
def test_masks_that_cannot_be_used(make, words, segment, clip):
    make(clip)
    segment().assert_one_sentence(3, words)
    assert not (clip / "out").exists()


def test_an_output_folder_that_disappears_stops_the_run(segment, clip, monkeypatch):
    paint = RunFolder.write_frame

    def removed_before_frame_5(run, frame_index, masks, **options):
        if frame_index == 5:
            shutil.rmtree(run.path)
        paint(run, frame_index, masks, **options)

    monkeypatch.setattr(RunFolder, "write_frame", removed_before_frame_5)
    outcome = segment()
    assert outcome.exit_code == 3
    assert "cannot write" in outcome.error
    assert "Traceback" not in outcome.error


def test_mask_names_that_fit_no_frame_are_listed(segment, clip):
    (clip / "given").mkdir()
    write_mask(clip / "given" / "99999.png", 0, (1,))
    write_mask(clip / "given" / "00000.png", 0, (1,))
    segment(masks="given").assert_one_sentence(3, "99999")


def test_nothing_marked_is_misuse(segment):
    segment(masks="").assert_one_sentence(2, "--masks")


@pytest.mark.parametrize(
    ("label_map", "object_id"),
    [(np.ones(SIZE), 1), (np.eye(*SIZE, dtype=int) * (np.arange(SIZE[1]) == 3) * 5, 5)],
)
def test_objects_of_one_pixel_or_of_all_are_followed(label_map, object_id, segment, clip):
    write_label_map(clip / "first.png", label_map.astype(np.int32))
    assert segment().exit_code == 0
    found = read_label_map(clip / "out" / "00000.png")
    assert ((found == object_id) == (label_map == object_id)).all()


@pytest.mark.parametrize(
    ("box", "exit_code"),
    [
        ("40,3,5,5", 3),  # outside
        ("-20,-20,5,5", 3),
        ("10,10,-5,5", 3),  # swapped corners
        ("10,10,0,5", 3),
        ("nan,1,5,5", 2),
        ("1,2,inf,5", 2),
        ("1,2,3", 2),
        ("here", 2),
        ("0:1,2,5,5", 3),  # id 0
        ("-4:1,2,5,5", 3),
        ("77:1:1,2,5,5", 3),  # frame 77 of 12
        ("20000000:1,2,5,5", 3),
    ],
)
def test_boxes_that_cannot_be_used(box, exit_code, segment, clip):
    segment(f"--box={box}", masks="").assert_one_sentence(exit_code, box)
    assert not (clip / "out").exists()


def test_an_output_that_cannot_be_written_is_named(segment, clip):
    (clip / "file").write_text("")
    outcome = segment("-o", "file/run")
    assert outcome.exit_code == 3
    assert "file/run" in outcome.error
    assert "Traceback" not in outcome.error


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no such folder")
def test_a_folder_that_no_one_can_make_is_named(segment):
    outcome = segment("-o", "/proc/maskcast/run")
    assert outcome.exit_code == 3
    assert "cannot create the folder /proc/maskcast/run" in outcome.error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(segment, clip):
    (clip / "locked").mkdir(mode=0o500)
    segment("-o", "locked/run").assert_one_sentence(3, "locked")


def test_paths_no_system_takes_are_refused_in_a_sentence(segment, clip):
    too_long = "x" * 300
    for arguments in ({"video": too_long}, {"masks": too_long}):
        segment(**arguments).assert_one_sentence(3, "File name too long")
    outcome = segment("-o", too_long)
    assert outcome.exit_code == 3
    assert "File name too long" in outcome.error
    assert "Traceback" not in outcome.error


def test_links_that_go_round_are_refused_in_a_sentence(segment, clip):
    (clip / "round").symlink_to("round")
    segment(masks="round").assert_one_sentence(3, "mask round does not exist")
    outcome = segment("-o", "round")
    assert outcome.exit_code == 3
    assert "cannot create the folder round" in outcome.error


def test_a_line_break_in_a_path_breaks_no_line_of_ours(segment, clip):
    (clip / "first.png").rename(clip / "fi\nrst.png")
    outcome = segment(masks="fi\nrst.png")
    assert outcome.exit_code == 0
    (line,) = outcome.error.strip().splitlines()
    assert line.startswith("maskcast: fi rst.png: indexed")


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are text")
def test_a_video_whose_name_is_no_text_is_segmented(segment, clip):
    name = os.fsdecode(b"Stra\xdfe.mp4")  # as an old archive in Latin-1 leaves it
    write_video(clip / "ride.mp4").rename(clip / name)
    outcome = segment("--rle", video=name)
    assert outcome.exit_code == 0, outcome.error
    assert json.loads((clip / "out" / "run.json").read_text())["input"] == name
    assert segment("--rle", video=name).exit_code == 0


def test_a_full_disk_is_told_and_the_run_goes_on_later(segment, clip, monkeypatch):
    def full_after_three(path: Path, label_map: np.ndarray) -> None:
        if path.stem == "00003":
            raise OutputError(f"cannot write {path}: the disk is full")
        write_label_map(path, label_map)

    with monkeypatch.context() as patch:
        patch.setattr("maskcast.runs.masks.write_label_map", full_after_three)
        outcome = segment("--save-frames", "1")
    assert outcome.exit_code == 3
    assert "the disk is full" in outcome.error
    assert "Traceback" not in outcome.error
    assert segment("--save-frames", "1").exit_code == 0
    assert json.loads((clip / "out" / "run.json").read_text())["resumed_from"] == 3


def test_the_folder_of_another_run_is_refused(segment, clip):
    segment()
    write_mask(clip / "first.png", 0, (1,))
    outcome = segment()
    assert outcome.exit_code == 2
    assert "the prompt of object 2 on frame 0 was removed" in outcome.error
    assert "--overwrite" in outcome.error


def test_the_folder_of_the_video_or_of_the_masks_cannot_be_the_output(segment, clip):
    (clip / "given").mkdir()
    write_mask(clip / "given" / "00000.png", 0, (1,))
    for more in ((), ("--overwrite",)):
        segment("-o", "video", *more).assert_one_sentence(2, "video would be overwritten")
        segment("-o", "given", *more, masks="given").assert_one_sentence(2, "given would be")


def test_masks_that_the_run_itself_writes_cannot_be_given(segment, clip):
    segment("--rle", "--probabilities")
    before = (clip / "out" / "00004.png").read_bytes()
    for given in ("out/00004.png", "out/exports/masks.json", "out/probs/1/00004.png"):
        for more in ((), ("--overwrite",)):
            outcome = segment("--masks", given, *more)
            outcome.assert_one_sentence(2, f"{given} would be overwritten; copy it")
    assert (clip / "out" / "00004.png").read_bytes() == before


def test_soft_masks_that_were_written_once_are_kept(segment, clip):
    segment("--probabilities")
    before = {path.name: path.read_bytes() for path in (clip / "out/probs").rglob("*.png")}
    outcome = segment()
    assert outcome.exit_code == 0
    assert before == {path.name: path.read_bytes() for path in (clip / "out/probs").rglob("*.png")}
    assert before


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("--weights", "lwl-smal"), 3, "lwl-smal"),
        (("--weights", "./none.safetensors"), 3, "none.safetensors"),
        (("--method", "lvl"), 2, "unknown method 'lvl'; available: lwl"),
        (("--method", "colours"), 3, "no weights of colours are included"),
        (("--method", "eosvos"), 3, "maskcast weights import"),
        (("--option", "speed=1"), 2, "unknown setting 'speed'; available: sharpness, update_rate"),
        (("--option", "update_rate"), 2, "NAME=VALUE"),
        (("--option", "update_rate=fast"), 2, "update_rate must be a number, got 'fast'"),
        (("--option", "update_rate=7"), 2, "update_rate must be in [0, 1], got 7.0"),
        (("--device", "cuda"), 2, "device 'cuda' is not available on this machine"),
        (("--start", "900"), 2, "start 900 is after the last frame"),
        (("--start", "5", "--end", "5"), 2, "no frames"),
        (("--start", "soon"), 2, "soon"),
        (("--save-frames", "0"), 2, "save_frames must be at least 1, got 0 (--save-frames)"),
        (("--threads", "0"), 2, "threads"),
        (("--dtype", "float8"), 2, "float8"),
        (("--direction", "backward"), 2, "direction"),
        (
            ("--mask-threshold", "0"),
            2,
            "mask_threshold must be in [1, 255], got 0 (--mask-threshold)",
        ),
        (
            ("--option", "update_rat=1"),
            2,
            "unknown setting 'update_rat'; did you mean update_rate?",
        ),
        (("--rate", "nan"), 2, "rate"),
        (("--keep-every", "-1"), 2, "keep_every must be at least 0, got -1 (--keep-every)"),
    ],
)
def test_calls_that_make_no_sense(arguments, exit_code, words, segment, clip):
    if "cuda" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has one")
    outcome = segment(*arguments)
    assert outcome.exit_code == exit_code, outcome.error
    assert words in outcome.error
    assert "Traceback" not in outcome.error
    assert not (clip / "out").exists()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def hostile(path: Path) -> None:
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.")


def huge_header(path: Path) -> None:
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")


def wrong_method(path: Path) -> None:
    write_weights(path, method="telepathy", config={}, tensors={}, card={})


def wrong_settings(path: Path) -> None:
    write_weights(path, method="colours", config={"telepathy": 1}, tensors={}, card={})


@pytest.mark.parametrize("spoiled", [truncated, hostile, huge_header, wrong_method, wrong_settings])
def test_weights_that_cannot_be_used(spoiled, segment, clip):
    spoiled(clip / "colours.safetensors")
    outcome = segment()
    assert outcome.exit_code == 3, outcome.error
    assert "weights" in outcome.error
    assert "Traceback" not in outcome.error
    assert not (clip / "pwned").exists()
    assert not (clip / "out").exists()


def test_weights_of_another_method_are_refused(segment, clip):
    outcome = segment("--method", "lwl", "--weights", "./colours.safetensors")
    assert outcome.exit_code == 2
    assert "the weights colours are for colours, not for lwl" in outcome.error


NAMES = ["Straße № 5", "夜 の 花火", "a.b.c", "x" * 250]


def test_odd_frame_names_are_kept(segment, clip):
    shutil.rmtree(clip / "video")
    (clip / "video").mkdir()
    for name, picture in zip(sorted(NAMES), pictures(len(NAMES)), strict=True):
        Image.fromarray(picture).save(clip / "video" / f"{name}.png")
    assert segment().exit_code == 0
    assert sorted(path.stem for path in (clip / "out").glob("*.png")) == sorted(NAMES)


def test_a_frame_name_with_a_line_break_is_refused(segment, clip):
    (clip / "video" / "00011.png").rename(clip / "video" / "00011\n.png")
    outcome = segment()
    assert outcome.exit_code == 3
    assert "line break" in outcome.error


def test_a_method_without_boxes_asks_another_one_and_the_card_says_so(segment, clip, monkeypatch):
    config = tiny()
    write_weights(
        clip / "cache" / "lwl-tiny.safetensors",
        method="lwl",
        config=config_to_dict(config),
        tensors=network_of(config, None).state_dict(),
        card={},
    )
    monkeypatch.setattr("maskcast.methods.spec.BOX_WEIGHTS", "lwl-tiny")
    assert segment("--box", "300:2,1,7,7", masks="").exit_code == 0
    card = json.loads((clip / "out" / "run.json").read_text())
    assert card["box_start"] == f"lwl-tiny {read_weights('lwl-tiny').sha256}"
    assert card["prompts"] == {"0:300": "box 2.0,1.0,7.0,7.0"}
