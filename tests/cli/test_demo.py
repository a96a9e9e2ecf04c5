"""``maskcast demo`` on a short clip with the stand-in method."""

from __future__ import annotations

import re

import numpy as np

from maskcast.cli.demo import score
from maskcast.data.synthetic.demo import make_demo_clip
from maskcast.io.label_maps import write_label_map


def test_the_demo_writes_and_prints_what_it_promises(clip, maskcast):
    outcome = maskcast("demo", "--frames", "4", "--weights", "./colours.safetensors")
    assert outcome.exit_code == 0, outcome.error
    masks = clip / "maskcast-demo" / "masks"
    assert len(list(masks.glob("*.png"))) == 4
    assert (masks / "exports" / "overlay.mp4").is_file()
    assert (masks / "exports" / "contact_sheet.png").is_file()
    assert re.search(r"^J&F \d+\.\d  \(J \d+\.\d, F \d+\.\d\)$", outcome.output, re.MULTILINE)
    assert re.search(r"^\d+\.\d frames per second on cpu$", outcome.output, re.MULTILINE)

    shorter = maskcast("demo", "--frames", "3", "--weights", "./colours.safetensors")
    assert shorter.exit_code == 0, shorter.error
    assert [path.name for path in sorted(masks.glob("*.png"))] == [f"0000{i}.png" for i in range(3)]


def test_a_run_that_is_no_demo_stays(segment, maskcast):
    segment("-o", "masks")
    outcome = maskcast("demo", "--frames", "3", "--weights", "./colours.safetensors", "-o", ".")
    assert outcome.exit_code == 2
    assert "masks contains a different run" in outcome.error


def test_the_score_leaves_out_the_first_and_the_last_frame(tmp_path):
    clip = make_demo_clip(frames=4, size=(68, 120))
    for frame_index, truth in enumerate(clip.label_maps):
        right = frame_index in (1, 2)
        write_label_map(tmp_path / f"{frame_index:05d}.png", truth if right else 0 * truth)
    assert score(clip, tmp_path) == (1.0, 1.0)
    write_label_map(tmp_path / "00002.png", np.where(clip.label_maps[2] == 1, 1, 0))
    assert score(clip, tmp_path) == (0.75, 0.75)  # object 2 is lost on one of two frames


def test_a_clip_too_short_to_be_scored_is_refused(maskcast):
    maskcast("demo", "--frames", "2").assert_one_sentence(2, "at least 3 frames")
