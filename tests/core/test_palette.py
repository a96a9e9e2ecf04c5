"""Colours of objects: those of DAVIS, and all different."""

import re
from pathlib import Path

from maskcast.core.palette import PALETTE, SHOWN, colour_of, palette_bytes


def test_the_first_colours_are_those_of_davis():
    # as read from the palette of a DAVIS annotation
    expected = [
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128),
        (0, 128, 128), (128, 128, 128), (64, 0, 0), (191, 0, 0), (64, 128, 0), (191, 128, 0),
        (64, 0, 128), (191, 0, 128), (64, 128, 128), (191, 128, 128), (0, 64, 0), (128, 64, 0),
        (0, 191, 0), (128, 191, 0), (0, 64, 128), (128, 64, 128),
    ]  # fmt: skip
    assert list(PALETTE[:22]) == expected


def test_all_colours_differ():
    assert len(set(PALETTE)) == 256


def test_ids_above_255_take_colours_in_turn_and_never_black():
    assert colour_of(0) == (0, 0, 0)
    assert colour_of(255) == PALETTE[255]
    assert colour_of(256) == PALETTE[1]
    assert colour_of(510) == PALETTE[255]


def test_bytes():
    assert palette_bytes()[:6] == bytes([0, 0, 0, 128, 0, 0])
    assert len(palette_bytes()) == 768


def test_the_page_shows_the_colours_of_overlays():
    page = Path(__file__).parents[2] / "frontend/src/stage/palette.ts"
    listed = re.findall(r'^  "#(\w{6})",$', page.read_text(), flags=re.MULTILINE)
    assert listed == [bytes(colour).hex() for colour in SHOWN]
