"""``maskcast frame`` writes what a person paints on, and ``segment`` takes it back."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from contract.coloured_video import true_mask
from maskcast.io.label_maps import read_label_map, write_label_map
from maskcast.runs.objects import ObjectLook, write_objects


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def pixels_of(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_the_picture_of_a_frame_is_a_base_for_a_first_mask(clip, maskcast, segment):
    outcome = maskcast("frame", "video", "3")
    assert (outcome.exit_code, outcome.error) == (0, "")
    assert outcome.output == "to-paint/00003-picture.png\n"
    assert np.array_equal(
        pixels_of(clip / "to-paint/00003-picture.png"), pixels_of(clip / "video/00003.png")
    )
    painted = true_mask(1, 3).numpy().astype(np.int32)
    write_label_map(clip / "to-paint/00003-picture.png", painted)
    outcome = segment(masks="to-paint/00003-picture.png")
    assert "for frame 00003: id 1 (49 pixels)" in outcome.error


def test_the_label_map_of_a_run_is_corrected_and_given_back(clip, maskcast, segment):
    segment()
    outcome = maskcast("frame", "video", "00008", "--with", "out", "-o", "fixed")
    assert outcome.exit_code == 0, outcome.error
    assert outcome.output.splitlines() == [
        *("fixed/00008-picture.png", "fixed/00008.png", "fixed/00008-overlay.png"),
        "pass the corrected label map with: --corrected fixed/00008.png",
    ]
    assert (clip / "fixed/00008.png").read_bytes() == (clip / "out/00008.png").read_bytes()
    with Image.open(clip / "fixed/00008.png") as written:
        assert written.mode == "P"
    label_map = read_label_map(clip / "fixed/00008.png")
    write_label_map(clip / "fixed/00008.png", np.where(label_map == 1, label_map, 0))
    outcome = segment("--corrected", "fixed/00008.png")
    assert outcome.exit_code == 0, outcome.error
    assert "frame 00008: object 2 is absent" in outcome.error


def test_the_overlay_shows_colours_of_the_run_and_absent_objects(clip, maskcast, segment):
    segment("--absent", "8:2")
    write_objects(clip / "out", {1: ObjectLook(colour="#56b4e9")})
    maskcast("frame", "video", "8", "--with", "out", "-o", "fixed")
    overlay = pixels_of(clip / "fixed/00008-overlay.png")
    assert (overlay == (0x56, 0xB4, 0xE9)).all(axis=2).any()
    plain = pixels_of(clip / "fixed/00008-picture.png")
    assert (overlay[:8] != plain[:8]).any(), "the list of absent objects is in the top left corner"


def test_frames_of_a_run_that_starts_later_are_numbered_in_the_whole_video(clip, maskcast, segment):
    (clip / "first.png").rename(clip / "00005.png")
    segment("--start", "5", masks="00005.png")
    assert maskcast("frame", "video", "7", "--with", "out", "-o", "a").exit_code == 0
    assert (clip / "a/00007.png").read_bytes() == (clip / "out/00007.png").read_bytes()
    outcome = maskcast("frame", "video", "4", "--with", "out")
    outcome.assert_one_sentence(2, "frame 4 does not exist; frames are named 00005 to 00011")


def test_what_was_painted_is_never_replaced(clip, maskcast, segment):
    segment()
    for _ in range(2):
        assert maskcast("frame", "video", "8", "--with", "out", "-o", "fixed").exit_code == 0
    (clip / "fixed/00008.png").write_bytes(b"painted")
    (clip / "fixed/00008-picture.png").unlink()
    outcome = maskcast("frame", "video", "8", "--with", "out", "-o", "fixed")
    outcome.assert_one_sentence(2, "fixed/00008.png exists and may have been painted on")
    assert (clip / "fixed/00008.png").read_bytes() == b"painted"
    assert files_in(clip / "fixed") == ["00008-overlay.png", "00008.png"]


@pytest.mark.parametrize("folder", ["video", "out"])
def test_nothing_is_written_among_frames_or_masks(clip, folder, maskcast, segment):
    segment()
    before = files_in(clip / folder)
    outcome = maskcast("frame", "video", "8", "--with", "out", "-o", folder)
    outcome.assert_one_sentence(2, f"{folder} holds the frames or masks themselves")
    assert files_in(clip / folder) == before


def test_other_frames_and_folders_are_usage_errors(clip, maskcast, segment):
    maskcast("frame", "video", "12").assert_one_sentence(2, "frame 12 does not exist")
    outcome = maskcast("frame", "video", "1", "--with", "none")
    outcome.assert_one_sentence(2, "none is not a run folder: it has no run.json")
    segment("--end", "5")
    outcome = maskcast("frame", "video", "5", "--with", "out")
    outcome.assert_one_sentence(2, "out has no masks of frame 00005; it has 5 frames")
    (clip / "video/00011.png").unlink()
    outcome = maskcast("frame", "video", "1", "--with", "out")
    outcome.assert_one_sentence(2, "out is a run over another video, video, or video has changed")
    assert not (clip / "to-paint").exists()
