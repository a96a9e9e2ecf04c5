"""Which frames a contact sheet shows, and where."""

import numpy as np
import pytest

from maskcast.viz.contact_sheet import CAPTION, GAP, PAPER, choose_frames, draw_contact_sheet


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [
        (0, 12, []),
        (1, 12, [0]),
        (5, 12, [0, 1, 2, 3, 4]),
        (9, 5, [0, 2, 4, 6, 8]),
        (100, 2, [0, 99]),
        (100, 1, [0]),
    ],
)
def test_frames_are_spread_over_the_video(count, wanted, expected):
    assert choose_frames(count, wanted) == expected


def test_tiles_lie_in_rows_under_their_captions():
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    tiles = [
        (f"{i:05d}", np.full((30, 60, 3), colour, np.uint8)) for i, colour in enumerate(colours)
    ]
    sheet = draw_contact_sheet(tiles, columns=2, tile_width=120)
    assert sheet.shape == (2 * (60 + CAPTION + GAP) + GAP, 2 * (120 + GAP) + GAP, 3)
    for place, colour in enumerate(colours):
        row, column = divmod(place, 2)
        y, x = GAP + row * (60 + CAPTION + GAP) + CAPTION, GAP + column * (120 + GAP)
        np.testing.assert_array_equal(sheet[y + 30, x + 60], colour)
        caption = sheet[y - CAPTION : y, x : x + 60]
        assert (caption != PAPER).any()
    np.testing.assert_array_equal(sheet[-40, -60], PAPER)  # the fourth place stays empty
