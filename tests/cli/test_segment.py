"""``maskcast segment`` as a person meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.conftest import FRAMES, write_mask
from contract import stand_in
from contract.coloured_video import SIZE, true_mask
from maskcast.cli.segment import SavingOptions
from maskcast.io.label_maps import read_label_map, write_label_map
from maskcast.io.video.formats import FORMATS
from maskcast.io.video.source import open_frames
from maskcast.methods import precision
from maskcast.methods.catalogue import METHODS
from maskcast.runs import exports
from maskcast.runs.segmentation import SavePolicy
from maskcast.viz.overlay import draw_overlay

PROGRAM = Path(__file__).parent / "with_stand_in.py"
COMMAND = [sys.executable, str(PROGRAM), "segment", "video", "--masks", "first.png"]
COMMAND += ["--weights", "./colours.safetensors", "-o", "out"]


def masks_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def card_in(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def test_the_command_saves_as_often_as_the_library():
    assert SavingOptions().policy() == SavePolicy()


def test_masks_of_every_frame_and_a_run_card(segment, clip):
    outcome = segment("--option", "update_rate=0.5")
    assert outcome.exit_code == 0
    assert "ids 1 (49 pixels), 2 (49 pixels)" in outcome.error
    found = read_label_map(clip / "out" / "00011.png")
    assert (found == 2).tolist() == true_mask(2, 11).tolist()
    card = card_in(clip / "out")
    assert card["method"] == card["weights"] == "colours"
    assert card["options"] == {"update_rate": "0.5"}
    assert card["box_start"] is None
    assert len(card["weights_sha256"]) == len(card["input_sha256"]) == 64
    assert card["resumed_from"] == 0
    assert set(card["seconds"]) == {"decode", "model", "write", "total"}
    rate = FRAMES / card["seconds"]["total"]
    masks, states = (
        sum(path.stat().st_size for path in (clip / "out").rglob(f"*{ending}"))
        for ending in (".png", ".safetensors")
    )
    assert outcome.output == (
        f"out: masks of {FRAMES} frames, {rate:.1f} frames per second, "
        f"{(masks + states) / 1000:.1f} kB (states {states / 1000:.1f} kB)\n"
    )


def test_only_the_prompts_are_shown(segment, clip):
    outcome = segment("--only-prompts", "--overlay")
    assert outcome.exit_code == 0, outcome.error
    assert outcome.output.splitlines() == [
        "out/exports/prompts-00000.png",
        "out/exports/prompts-sheet.png",
        "continue with the same command without --only-prompts",
    ]
    assert masks_in(clip / "out") == {}
    assert segment("--overlay").exit_code == 0
    assert len(masks_in(clip / "out")) == FRAMES


def test_a_run_says_where_it_resumes(segment, clip):
    assert "resuming" not in segment("--keep-every", "5").error
    write_mask(clip / "00008.png", 8, (1, 2))
    outcome = segment("--keep-every", "5", "--corrected", "00008.png")
    assert "resuming at frame 6, after the nearest saved state\n" in outcome.error
    for state in (clip / "out" / ".states").glob("*.safetensors"):
        state.unlink()
    write_mask(clip / "00007.png", 7, (1, 2))
    outcome = segment("--corrected", "00008.png", "--corrected", "00007.png")
    assert "starting again at frame 0: no state before frame 7 is saved\n" in outcome.error


def test_swapped_objects_are_not_tracked_again(segment, clip):
    segment()
    before = card_in(clip / "out")["steps"]
    outcome = segment("--swap", "6:1,2", "--tracks")
    assert outcome.exit_code == 0, outcome.error
    assert "frame 00006: objects 1 and 2 are swapped\n" in outcome.error
    assert card_in(clip / "out")["steps"] == before
    found = read_label_map(clip / "out" / "00006.png")
    assert (found == 2).tolist() == true_mask(1, 6).tolist()
    outcome = segment("--swap", "6:1,2", "--merge", "9:1,2")
    assert "frame 00009: object 2 merged into object 1\n" in outcome.error
    assert card_in(clip / "out")["steps"] == before
    outcome = segment("--swap", "6:1,7")
    assert outcome.exit_code == 3
    assert "object 7 cannot be swapped or merged on frame 00006" in outcome.error


def test_a_corrected_mask_need_not_show_what_was_merged(segment, clip):
    write_mask(clip / "00009.png", 9, (1,))
    outcome = segment("--merge", "6:1,2", "--corrected", "00009.png")
    assert outcome.exit_code == 0, outcome.error
    assert "absent" not in outcome.error
    found = read_label_map(clip / "out" / "00010.png")
    assert found.tolist() == true_mask(1, 10).int().tolist()


def test_options_change_the_result_and_make_it_another_run(segment, clip):
    segment()
    segment("--option", "sharpness=0.0", "-o", "other")
    assert masks_in(clip / "out") != masks_in(clip / "other")
    outcome = segment("--option", "sharpness=0.0")
    assert outcome.exit_code == 2
    assert "the option sharpness was not given, now 0.0" in outcome.error
    assert segment("--option", "sharpness=0.0", "--overwrite").exit_code == 0
    assert masks_in(clip / "out") == masks_in(clip / "other")


def test_a_part_of_the_video_keeps_its_names(segment, clip):
    write_mask(clip / "third.png", 3, (1, 2))
    part = ("--start", "3", "--end", "7")
    assert segment(*part, "--rle", "--tracks", masks="third.png").exit_code == 0
    assert list(masks_in(clip / "out")) == [f"{i:05d}.png" for i in range(3, 7)]
    assert (read_label_map(clip / "out" / "00006.png") == 1).tolist() == true_mask(1, 6).tolist()
    exports = clip / "out" / "exports"
    assert "3,00003,1," in (exports / "tracks.csv").read_text()
    again = segment(*part, "-o", "again", masks=str(exports / "masks.json"))
    assert again.exit_code == 0, again.error
    assert masks_in(clip / "again") == masks_in(clip / "out")


@pytest.mark.parametrize("high", [40_000, 70_001])
def test_ids_above_255_are_kept(segment, clip, high):
    label_map = np.where(true_mask(1, 0).numpy(), high, 0)
    write_label_map(clip / "high.png", label_map)
    assert segment("--overlay", "--rle", masks="high.png").exit_code == 0
    assert np.unique(read_label_map(clip / "out" / "00011.png")).tolist() == [0, high]
    again = segment("-o", "again", masks=str(clip / "out" / "00000.png"))  # as another's first mask
    assert "ids in colours" in again.error or high < 2**16
    assert masks_in(clip / "again") == masks_in(clip / "out")
    assert segment("-o", "by rle", masks=str(clip / "out/exports/masks.json")).exit_code == 0
    assert masks_in(clip / "by rle") == masks_in(clip / "out")


def test_a_mask_on_a_later_frame_is_a_correction_and_continues_the_run(segment, clip):
    segment("--save-frames", "3")
    before = masks_in(clip / "out")
    write_mask(clip / "00008.png", 8, (1,))
    outcome = segment("--masks", "00008.png", "--save-frames", "3")
    assert outcome.exit_code == 0
    assert card_in(clip / "out")["resumed_from"] == 7
    assert list(masks_in(clip / "out").values())[:8] == list(before.values())[:8]
    segment("--masks", "00008.png", "-o", "at once")
    assert masks_in(clip / "out") == masks_in(clip / "at once")


def test_an_edit_is_refused_until_it_is_said_to_be_one_and_comes_back_when_undone(segment, clip):
    segment()
    before = masks_in(clip / "out")
    write_mask(clip / "00008.png", 7, (1,))
    segment("--masks", "00008.png")
    corrected = masks_in(clip / "out")
    assert corrected != before
    outcome = segment()
    assert outcome.exit_code == 2
    assert "contains a different run" in outcome.error
    assert "accept the edits, which keeps the run; choose another folder" in outcome.error
    assert "--edited" in outcome.error
    steps = card_in(clip / "out")["steps"]
    assert segment("--edited").exit_code == 0
    assert masks_in(clip / "out") == before
    assert card_in(clip / "out")["steps"] == steps
    write_mask(clip / "00008.png", 6, (1,))
    segment("--masks", "00008.png", "--edited")
    segment("--masks", "00008.png", "-o", "fresh")
    assert masks_in(clip / "out") == masks_in(clip / "fresh") != corrected


def test_ends_by_flag_and_by_file_are_the_same(segment, clip):
    assert segment("--end-object", "7:2", "-o", "flag").exit_code == 0
    write_mask(clip / "masks" / "00000.png", 0, (1, 2))
    (clip / "masks" / "marks.json").write_text('{"ends": [[7, 2]]}')
    outcome = segment("-o", "file", masks="masks")
    assert outcome.exit_code == 0, outcome.error
    assert "maskcast: frame 00007: object 2 ends" in outcome.error
    assert masks_in(clip / "flag") == masks_in(clip / "file")
    assert 2 not in read_label_map(clip / "file" / "00007.png")
    assert card_in(clip / "file")["prompts"]["7:2"] == "end"
    segment("--end-object", "7").assert_one_sentence(2, "invalid end '7'; write FRAME:ID")


def test_names_and_colours_are_kept_and_shown(segment, clip):
    """They can be given later; masks stay, and the picture that shows them is made again."""
    hidden = np.zeros((*SIZE, 3), dtype=np.uint8)
    Image.fromarray(hidden).save(clip / "video" / "00006.png")
    segment("--contact-sheet")
    sheet, masks = (clip / "out/exports/contact_sheet.png").read_bytes(), masks_in(clip / "out")
    outcome = segment("--contact-sheet", "--name", "2=left post", "--colour", "2=#d55e00")
    assert outcome.exit_code == 0, outcome.error
    looks = json.loads((clip / "out/objects.json").read_text())
    assert looks == {"2": {"name": "left post", "colour": "#d55e00"}}
    assert "object 2 (left post): absent on 6" in outcome.output
    assert (clip / "out/exports/contact_sheet.png").read_bytes() != sheet
    assert masks_in(clip / "out") == masks
    outcome = segment("--name", "3=cat")
    assert outcome.exit_code == 2
    assert "object 3 has a name or a colour, but no mask or box; marked objects: 1, 2" in (
        outcome.error
    )
    segment("--colour", "2=red").assert_one_sentence(2, "must be written #rrggbb, got 'red'")


def test_a_first_mask_in_the_middle_says_that_earlier_frames_stay_empty(segment, clip):
    (clip / "first.png").rename(clip / "00002.png")
    outcome = segment("--end", "4", masks="00002.png")
    assert "(object 1 before frame 2, object 2 before frame 2)" in outcome.error
    assert "to fill them, set direction to both" in outcome.error
    assert not read_label_map(clip / "out/00001.png").any()
    outcome = segment("--end", "4", "--direction", "both", masks="00002.png")
    assert outcome.exit_code == 0
    assert "stay empty" not in outcome.error


def test_marks_of_absence_are_read_and_recorded(segment, clip):
    write_mask(clip / "masks" / "00000.png", 0, (1, 2))
    (clip / "masks" / "marks.json").write_text('{"absent": [[7, 2]]}')
    outcome = segment(masks="masks")
    assert outcome.exit_code == 0, outcome.error
    assert card_in(clip / "out")["prompts"]["7:2"] == "absent"
    assert 2 not in read_label_map(clip / "out" / "00007.png")


def test_absences_by_flag_and_by_file_are_the_same(segment, clip):
    outcome = segment("--absent", "6-8:2", "--absent", "00010:1,2", "-o", "flag")
    assert outcome.exit_code == 0, outcome.error
    write_mask(clip / "masks" / "00000.png", 0, (1, 2))
    marks = [[6, 2], [7, 2], [8, 2], [10, 1], [10, 2]]
    (clip / "masks" / "marks.json").write_text(json.dumps({"absent": marks}))
    assert segment("-o", "file", masks="masks").exit_code == 0
    assert masks_in(clip / "flag") == masks_in(clip / "file")
    assert card_in(clip / "flag")["prompts"] == card_in(clip / "file")["prompts"]
    assert [2 in read_label_map(clip / "flag" / f"{i:05d}.png") for i in range(5, 10)] == [
        *(True, False, False, False, True)
    ]
    segment("--absent", "6:2,").assert_one_sentence(2, "FRAMES:ID[,ID], such as 120:2 or")
    segment("--absent", "6:3").assert_one_sentence(3, "is not tracked there")


def test_a_run_ends_with_the_frames_to_look_at(segment, clip):
    """A black rectangle hides both objects on two frames; what is printed can be pasted."""
    for number in (6, 7):
        hidden = np.zeros((*SIZE, 3), dtype=np.uint8)
        Image.fromarray(hidden).save(clip / "video" / f"{number:05d}.png")
    outcome = segment("--start", "1", "--end-object", "5:1", masks="")
    assert outcome.exit_code == 2
    write_mask(clip / "00001.png", 1, (1, 2))
    outcome = segment("--start", "1", "--end-object", "5:1", masks="00001.png")
    assert outcome.exit_code == 0, outcome.error
    *_, line, hint = outcome.output.splitlines()
    assert line.startswith("object 2: absent on 6-7")
    assert hint.startswith("correct with: maskcast segment … --corrected FILE")
    outcome = segment("--start", "1", "--end-object", "5:1", "--absent", "6-7:2", masks="00001.png")
    assert outcome.exit_code == 0, outcome.error
    assert "absent on" not in outcome.output


def test_a_corrected_mask_removes_what_it_lacks_and_continues_the_run(segment, clip):
    segment()
    before = masks_in(clip / "out")
    label_map = read_label_map(clip / "out" / "00008.png")
    write_label_map(clip / "fixed" / "00008.png", np.where(label_map == 1, label_map, 0))
    with Image.open(clip / "fixed" / "00008.png") as picture:
        picture.convert("RGB").save(clip / "fixed" / "00008.png")
    outcome = segment("--corrected", "fixed")
    assert outcome.exit_code == 0, outcome.error
    assert "frame 00008: object 2 is absent" in outcome.error
    assert set(np.unique(read_label_map(clip / "out" / "00008.png"))) == {0, 1}
    assert list(masks_in(clip / "out").values())[:8] == list(before.values())[:8]
    assert card_in(clip / "out")["prompts"]["8:2"] == "absent"
    write_label_map(clip / "fixed" / "00008.png", np.zeros_like(label_map))
    outcome = segment("--corrected", "fixed/00008.png", "--edited")
    assert outcome.exit_code == 0, outcome.error
    assert not read_label_map(clip / "out" / "00008.png").any()
    outcome = segment("--masks", "fixed/00008.png", "-o", "other")
    outcome.assert_one_sentence(3, "give it as a corrected mask")
    assert "(--corrected)" in outcome.error


def test_both_ways_a_corrected_mask_counts_before_the_first_mask_too(segment, clip):
    write_mask(clip / "00006.png", 6, (2,))
    write_mask(clip / "fixed" / "00003.png", 3, (1,))
    first = write_mask(clip / "one.png", 0, (1,))
    options = ("--masks", "00006.png", "--corrected", "fixed", "--direction", "both")
    outcome = segment(*options, masks=str(first))
    assert outcome.exit_code == 0, outcome.error
    assert card_in(clip / "out")["prompts"]["3:2"] == "absent"
    assert [2 in read_label_map(clip / "out" / f"{i:05d}.png") for i in (2, 3, 4)] == [
        *(True, False, True)
    ]


def test_the_end_of_the_video_may_move(segment, clip):
    segment("--end", "8", "--tracks")
    first = masks_in(clip / "out")
    assert segment().exit_code == 0
    assert len(masks_in(clip / "out")) == FRAMES
    assert not (clip / "out" / "exports").exists()  # it had eight frames
    assert segment("--tracks").exit_code == 0
    assert {name: masks_in(clip / "out")[name] for name in first} == first
    rows = (clip / "out" / "exports" / "tracks.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * FRAMES
    assert segment("--end", "5", "--tracks").exit_code == 0
    assert len(masks_in(clip / "out")) == FRAMES
    rows = (clip / "out" / "exports" / "tracks.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 5


def test_exports_behind_a_link_follow_the_masks(segment, clip):
    segment("--tracks", "--cutout", "png")
    (clip / "out" / "exports").rename(clip / "disk")
    (clip / "out" / "exports").symlink_to(clip / "disk")
    write_mask(clip / "00004.png", 3, (1,))
    assert segment("--masks", "00004.png").exit_code == 0
    assert list((clip / "disk").iterdir()) == []
    segment("--masks", "00004.png", "--tracks")
    segment("--masks", "00004.png", "--tracks", "-o", "fresh")
    tracks = [(clip / name / "exports" / "tracks.csv").read_bytes() for name in ("out", "fresh")]
    assert tracks[0] == tracks[1]
    assert (clip / "out" / "exports").is_symlink()


def test_a_default_run_holds_no_other_picture_named_like_a_frame(segment, clip):
    segment()
    names = {path.name for path in (clip / "out").glob("*.png")}
    assert {path.name for path in (clip / "out").rglob("*.png")} == names
    assert len(names) == FRAMES
    for path in (clip / "out").glob("*.json"):
        assert isinstance(json.loads(path.read_text()), dict)


def test_from_a_mask_in_the_middle_both_ways(segment, clip):
    write_mask(clip / "00006.png", 6, (1,))
    assert segment("--direction", "both", masks="00006.png").exit_code == 0
    for frame_index in (0, 6, 11):
        found = read_label_map(clip / "out" / f"{frame_index:05d}.png")
        assert (found == 1).tolist() == true_mask(1, frame_index).tolist()


def test_the_way_back_can_be_added_later(segment, clip):
    write_mask(clip / "00006.png", 6, (1,))
    segment(masks="00006.png")
    assert not read_label_map(clip / "out" / "00000.png").any()
    assert segment("--direction", "both", masks="00006.png").exit_code == 0
    found = read_label_map(clip / "out" / "00000.png")
    assert (found == 1).tolist() == true_mask(1, 0).tolist()
    outcome = segment(masks="00006.png")
    assert outcome.exit_code == 2
    assert "the setting direction was both, now forward" in outcome.error


def test_exports_are_made_and_named(segment, clip):
    outcome = segment("--tracks", "--cutout", "png", "--cutout", "vp9", "--rate", "12")
    assert outcome.exit_code == 0
    made = ["exports/tracks.csv", "exports/cutout", "exports/cutout-12fps.webm"]
    for name in made:
        assert f"out/{name}" in outcome.output
        assert (clip / "out" / name).exists()
    assert segment("--rate", "0").exit_code == 2


@contextmanager
def started(folder: Path, *, pause_at: int) -> Iterator[subprocess.Popen]:
    """Give a real process which has segmented all frames before ``pause_at``, and waits there."""
    environment = os.environ | {"MASKCAST_TEST_PAUSE_AT": str(pause_at)}
    command = [*COMMAND, "--save-frames", "3"]
    process = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE)
    last = folder / "out" / f"{pause_at - 1:05d}.png"
    try:
        while not last.exists():
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.timeout(300)
def test_a_run_killed_after_a_known_frame_goes_on_and_ends_alike(segment, clip):
    with started(clip, pause_at=9) as process:
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert card_in(clip / "out")["status"] == "running"
    assert segment().exit_code == 0
    card = card_in(clip / "out")
    assert card["resumed_from"] == 7  # states were saved after frames 0, 3 and 6
    assert card["status"] == "finished"
    segment("-o", "unbroken")
    assert masks_in(clip / "out") == masks_in(clip / "unbroken")


@pytest.mark.timeout(300)
def test_an_overlay_killed_after_a_known_frame_goes_on_and_ends_alike(segment, clip, monkeypatch):
    segment()
    environment = os.environ | {"MASKCAST_TEST_KILL_AT": "7"}
    killed = subprocess.run([*COMMAND, "--overlay"], cwd=clip, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    monkeypatch.setitem(FORMATS, "h264", replace(FORMATS["h264"], part_frames=3))
    drawn: list[int] = []

    def draw_and_count(*arguments, **options):
        drawn.append(1)
        return draw_overlay(*arguments, **options)

    monkeypatch.setattr(exports, "draw_overlay", draw_and_count)
    assert segment("--overlay").exit_code == 0
    assert len(drawn) == FRAMES - 6  # two parts were whole
    assert segment("--overlay", "-o", "unbroken").exit_code == 0
    resumed, unbroken = (
        list(open_frames(clip / folder / "exports" / "overlay.mp4").pictures())
        for folder in ("out", "unbroken")
    )
    assert len(resumed) == len(unbroken) == FRAMES
    for one, other in zip(resumed, unbroken, strict=True):  # x264 is not the same twice to the bit
        assert np.abs(one.astype(int) - other).mean() < 3


@pytest.mark.timeout(300)
def test_a_second_process_in_the_same_folder_is_refused(segment, clip):
    with started(clip, pause_at=4):
        outcome = segment("--overwrite")
        assert outcome.exit_code == 2
        assert "another process is writing to out; wait" in outcome.error
        assert len(masks_in(clip / "out")) == 4
    assert segment().exit_code == 0  # the first one is gone


@pytest.mark.timeout(300)
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_a_polite_kill_is_130_and_loses_nothing(stop, segment, clip):
    with started(clip, pause_at=8) as process:
        process.send_signal(stop)
        _, error = process.communicate()
        assert process.returncode == 130
    assert b"stopped after 8 frames; run again to continue from there" in error
    assert b"Traceback" not in error
    assert segment().exit_code == 0
    assert card_in(clip / "out")["resumed_from"] == 8
    segment("-o", "unbroken")
    assert masks_in(clip / "out") == masks_in(clip / "unbroken")


@pytest.fixture
def processor(monkeypatch) -> Callable[[bool], None]:
    """Lets the processor have native bfloat16 or not, and the clip's weights be suited to it."""
    suited = frozenset({"./colours.safetensors"})
    method = replace(stand_in.METHOD, bfloat16_weights=suited)

    def has_bfloat16(native: bool) -> None:
        monkeypatch.setitem(METHODS, "colours", method)
        monkeypatch.setattr(precision, "has_bfloat16", lambda device: native)

    return has_bfloat16


AUTO = ("--device", "cpu", "--dtype", "auto")


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_resolved_once_and_recorded(segment, clip, processor, native, expected):
    processor(native)
    assert segment(*AUTO, "--end", "6").exit_code == 0
    assert card_in(clip / "out")["settings"]["dtype"] == expected
    processor(not native)
    assert segment(*AUTO).exit_code == 0
    card = card_in(clip / "out")
    assert card["settings"]["dtype"] == expected
    assert (card["frames"], card["status"]) == (FRAMES, "finished")


def test_another_data_type_than_the_recorded_one_is_a_conflict(segment, clip, processor):
    processor(True)
    assert segment(*AUTO, "--end", "6").exit_code == 0
    outcome = segment("--device", "cpu")
    assert outcome.exit_code == 2
    assert "the setting dtype was bfloat16, now float32" in outcome.error
    processor(False)
    assert segment(*AUTO, "--overwrite").exit_code == 0
    assert card_in(clip / "out")["settings"]["dtype"] == "float32"
