"""The rows of the reports about mask pictures and about masks among frames."""

from __future__ import annotations

import re

import pytest
import torch

from contract.stand_in import ColourConfig, ColourTracker
from maskcast.core.errors import PromptError
from maskcast.core.segmenter import SegmenterIdentity
from maskcast.io.prompts.reading import GivenPrompts, read_prompts
from maskcast.runs.video_request import VideoRequest
from maskcast.runs.video_run import run_video
from reports.rows import INPUTS

pytestmark = pytest.mark.skipif(not INPUTS.is_dir(), reason="MASKCAST_REPORTS is missing")

NAMES = [f"{number:05d}" for number in range(12)]
SIZE = (96, 128)
DISC, SQUARE = 793, 441
"""Pixels of the two objects on frame 0."""


def read(name: str, threshold: int | None = None) -> GivenPrompts:
    path = INPUTS / "masks" / name.removeprefix("masks/")
    return read_prompts([path], names=NAMES, size=SIZE, mask_threshold=threshold)


def pixels(given: GivenPrompts) -> dict[int, dict[int, int]]:
    return {
        frame: {object_id: int(mask.sum()) for object_id, mask in marks.items()}
        for frame, marks in given.by_frame.items()
    }


@pytest.mark.parametrize("name", ["masks/good.png", "label_map_resorted.png", "labels.npy"])
def test_label_maps(name):
    assert pixels(read(name)) == {0: {1: DISC, 2: SQUARE}}


def test_black_is_background():
    (marks,) = pixels(read("black_is_last.png")).values()
    assert sorted(marks.values()) == [SQUARE, DISC]


def test_soft_edges():
    given = read("soft_few_greys.png")
    assert pixels(given) == {0: {1: DISC}}
    assert "on soft edges go to the nearer" in given.report[-1]
    assert pixels(read("soft_few_greys.png", 128)) == {0: {1: DISC}}


@pytest.mark.parametrize("threshold", [None, 128])
def test_a_matte_in_the_alpha_channel(threshold):
    assert pixels(read("matte_in_alpha_white.png", threshold)) == {0: {1: 697}}  # alpha ≥ 128


def test_a_matte_in_16_bits():
    with pytest.raises(PromptError, match="soft edges"):
        read("matte_16_bit.png")
    assert pixels(read("matte_16_bit.png", 128)) == {0: {1: 697}}


def test_pages():
    with pytest.raises(PromptError, match="5 pages"):
        read("five_pages.tif")


def test_a_name_that_names_a_frame():
    assert pixels(read("frame_000006.png")) == {6: {1: DISC, 2: SQUARE}}
    assert re.search("for frame 00006", read("frame_000006.png").report[-1])


class StandIn:
    """A built segmenter that follows colours."""

    segmenter = ColourTracker(ColourConfig(), torch.zeros(()))
    device = torch.device("cpu")

    def identity(self, *, uses_boxes: bool) -> SegmenterIdentity:
        return SegmenterIdentity(
            method="colours",
            weights="none",
            weights_sha256="0" * 64,
            box_start=None,
            options={},
            dtype="float32",
        )


AMONG_FRAMES = "frames_and_mask_named --masks frames_and_mask_named/mask.png"


def test_a_mask_among_the_frames(tmp_path):
    video, mask = (INPUTS / path for path in AMONG_FRAMES.split(" --masks "))
    request = VideoRequest(video=video, masks=[mask], output=tmp_path / "out")
    lines: list[str] = []
    result = run_video(request, StandIn(), report=lines.append)
    assert result.card.frames == 4
    assert lines[0] == f"{mask} is a mask, not a frame"
    assert "for frame frame_0000: ids 1 (793 pixels), 2 (441 pixels)" in lines[1]
