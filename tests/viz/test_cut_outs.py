"""Objects alone: straight alpha, composites and hidden regions, by hand-made pictures."""

from __future__ import annotations

import numpy as np
import pytest

from maskcast.viz.cut_outs import GREEN, composite, cut_out, in_16_bits, on_green
from maskcast.viz.effects import hide

PICTURE = np.full((4, 4, 3), (200, 100, 50), np.uint8)


def test_colours_of_a_cut_out_are_not_multiplied_by_alpha():
    alpha = np.array([[0, 0.001, 0.25, 1]] * 4)
    rgba = cut_out(PICTURE, alpha)
    assert rgba[0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [200, 100, 50, 64], [200, 100, 50, 255]]


def test_alpha_in_16_bits():
    assert in_16_bits(np.array([[0, 0.5, 1]])).tolist() == [[0, 32768, 65535]]


def test_composites_are_mixed_by_alpha():
    alpha = np.array([[0, 0.5, 1, 1]] * 4)
    assert composite(PICTURE, alpha, np.zeros_like(PICTURE))[2].tolist() == [
        [0, 0, 0],
        [100, 50, 25],
        [200, 100, 50],
        [200, 100, 50],
    ]
    assert tuple(on_green(PICTURE, alpha)[0, 0]) == GREEN


@pytest.mark.parametrize("how", ["blur", "pixelate", "black"])
def test_only_the_region_is_hidden(how):
    picture = np.zeros((48, 60, 3), np.uint8)
    picture[::2] = 255  # stripes of one pixel
    alpha = np.zeros((48, 60), np.float32)
    alpha[:, 30:] = 1
    hidden = hide(picture, alpha, how)
    np.testing.assert_array_equal(hidden[:, :30], picture[:, :30])
    assert hidden[8:40, 35:].std() < 20  # the stripes are gone
    others = hide(picture, alpha, how, background=True)
    np.testing.assert_array_equal(others[:, 30:], picture[:, 30:])
    np.testing.assert_array_equal(picture[0, 0], 255)
