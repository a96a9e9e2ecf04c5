"""``maskcast clean`` frees what a run needs only to go on, and says what is lost."""

from __future__ import annotations

import json
import shutil

import pytest

from cli.conftest import write_mask


def test_a_finished_run_keeps_its_masks_and_can_be_corrected_at_full_price(segment, clip, maskcast):
    segment()
    write_mask(clip / "00008.png", 7, (1,))
    segment("--masks", "00008.png")
    before = {path.name: path.read_bytes() for path in (clip / "out").iterdir() if path.is_file()}
    outcome = maskcast("clean", "out")
    assert outcome.exit_code == 0
    assert outcome.error.splitlines() == [
        "maskcast: a correction will compute all frames again, not only those that follow it",
        "maskcast: undoing an edit will compute its frames again instead of restoring them",
    ]
    assert outcome.output.startswith("out: ")
    assert outcome.output.endswith(" kB freed\n")
    assert not (clip / "out" / ".states").exists()
    left = {path.name: path.read_bytes() for path in (clip / "out").iterdir() if path.is_file()}
    assert left == before
    assert segment("--masks", "00008.png").exit_code == 0
    steps = json.loads((clip / "out" / "run.json").read_text())["steps"]
    segment("--edited")
    assert json.loads((clip / "out" / "run.json").read_text())["steps"] == steps + 12


def test_an_unfinished_run_says_that_it_begins_again(segment, clip, maskcast):
    (clip / "video" / "00005.png").write_bytes(b"")
    assert segment().exit_code == 3
    outcome = maskcast("clean", "out", "--dry-run")
    assert "the run is not finished (5 frames are): it cannot be resumed" in outcome.error
    assert "would be freed" in outcome.output
    assert (clip / "out" / ".states").exists()
    assert maskcast("clean", "out").exit_code == 0
    shutil.copy(clip / "video" / "00004.png", clip / "video" / "00005.png")


def test_what_is_already_clean_loses_nothing(segment, clip, maskcast):
    segment()
    maskcast("clean", "out")
    outcome = maskcast("clean", "out")
    assert (outcome.exit_code, outcome.error) == (0, "")
    assert outcome.output == "out: 0 bytes freed\n"


@pytest.mark.parametrize("folder", ["none", "video"])
def test_other_folders_are_left_alone(folder, clip, maskcast):
    maskcast("clean", folder).assert_one_sentence(2, f"{folder} is not a run folder")
    assert not (clip / "none").exists()
