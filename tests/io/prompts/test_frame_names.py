"""Numbers in the names of masks."""

from __future__ import annotations

import pytest

from maskcast.core.errors import PromptError
from maskcast.io.prompts.frame_names import number_in, same_name, without_additions


@pytest.mark.parametrize(
    ("name", "digits"),
    [
        ("00006", "00006"), ("frame_000006", "000006"), ("mask_00006", "00006"),
        ("00006_mask", "00006"), ("00006.png", "00006"), ("frame-6", "6"), ("frame 12", "12"),
        ("frame000006", "000006"), ("Image0006", "0006"), ("clip_x264_480p_00012", "00012"),
        ("00000_png.rf.0123", "00000"), ("frame_000006_PNG.rf.9a8b7c", "000006"),
        ("frame_000006.PNG", "000006"), ("9" * 5000, "9" * 5000),
        ("f00006", "00006"), ("dog0012", "0012"), ("frame_-6", "6"), ("frame2", "2"),
        ("img_7", "7"), ("clip_06", "06"), ("00006_1", "00006"),
        ("matte_16_bit", None), ("soft_4_greys", None), ("mask", None),
        ("first_480p", None), ("mask_v2", None), ("dog2", None), ("x264", None),
        ("", None), ("²", None), ("mask_8-bit", None), ("8bit_alpha", None),
    ],
)  # fmt: skip
def test_numbers(name, digits):
    assert number_in(name) == digits


@pytest.mark.parametrize(
    "name", ["2024-01-05_mask", "00006_00001", "mask_1_of_2", "mask1", "6_mask", "label-2"]
)
def test_unclear_numbers_are_refused(name):
    with pytest.raises(PromptError, match=r"several numbers|may count frames or masks"):
        number_in(name)


def test_one_form_of_names():
    assert same_name("cafe\u0301") == same_name("caf\u00e9") == "café"
    assert without_additions("a.b_jpg.rf.0f") == "a.b"
