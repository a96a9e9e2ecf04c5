"""Masks whose names have unusual numbers get their frame or are rejected, never frame 0."""

from __future__ import annotations

import pytest

from maskcast.core.errors import PromptError
from maskcast.io.prompts.frames import PromptFrames

SIZE = (96, 128)
PLAIN = PromptFrames([f"{number:05d}" for number in range(12)], SIZE, 0)


@pytest.mark.parametrize(
    "name", ["Frame (6)", "frame=6", "image-6", "0006", "00006 copy", "alpha_0006", "DJI_0006"]
)
def test_names_of_frame_6(name):
    assert PLAIN.find_mask(name) == 6


@pytest.mark.parametrize(
    "name", ["f6", "t=6", "matte6", "seg_6", "annotation-6", "gt 6", "6_mask", "Label (6)"]
)
def test_numbers_that_may_count_masks_are_rejected(name):
    with pytest.raises(PromptError, match="may count frames or masks"):
        PLAIN.find_mask(name)


@pytest.mark.parametrize("name", ["-1", "+3", "6.0", "６", "schön_０００６", "mask_١٢", "(6)"])
def test_odd_numbers_are_rejected(name):
    with pytest.raises(PromptError, match="not a plain number"):
        PLAIN.find_mask(name)


@pytest.mark.parametrize("name", ["mask", "person_1", "v2", "480p", "first frame", "schön"])
def test_other_names_have_no_frame(name):
    assert PLAIN.find_mask(name) is None


def test_a_number_of_several_frames_is_rejected():
    frames = PromptFrames(["a_01", "a_02", "b_01"], SIZE, 0)
    assert [frames.find_mask(name) for name in ("a_01", "b_01")] == [0, 2]
    with pytest.raises(PromptError, match="several frames have the number"):
        frames.find_mask("01")


def test_signed_names_are_numbers():
    frames = PromptFrames(["-1", "0", "1"], SIZE, 0)
    assert [frames.find_mask(name) for name in ("-1", "0", "1")] == [0, 1, 2]
    with pytest.raises(PromptError, match="may belong to frame 1 by its name or to frame 0"):
        frames.find_mask("01")


def test_accents_do_not_hide_numbers():
    frames = PromptFrames(["schön_0000", "schön_0001"], SIZE, 0)
    assert frames.find_mask("scho\u0308n_0001") == 1
    assert frames.find_mask("frame_0001") == 1
