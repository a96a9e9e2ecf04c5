"""Areas of a frame, by hand."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from maskcast.core.areas import Area, area_inside, merge_in_areas, moments, window


@pytest.mark.parametrize(
    ("size", "corner", "expected"),
    [
        ((3, 4), (1, 2), Area(1, 2, 4, 6)),
        ((3, 4), (-2, 7), Area(0, 7, 1, 9)),
        ((3, 4), (-5, 0), Area(0, 0, 0, 4)),
    ],
)
def test_a_rectangle_is_clipped_to_the_frame(size, corner, expected) -> None:
    assert area_inside(size, corner, (6, 9)) == expected


def test_a_window_repeats_the_border() -> None:
    pixels = torch.arange(6.0).view(1, 2, 3)
    assert window(pixels, (0, 1), (2, 3)).tolist() == [[[1, 2], [4, 5]]]
    assert window(pixels, (-1, 1), (2, 4)).tolist() == [[[1, 2, 2], [1, 2, 2], [4, 5, 5]]]


def test_moments_of_two_masses() -> None:
    mean, spread = moments(np.array([0.0, 3.0, 0.0, 0.0, 1.0]))
    assert mean == 1.75
    assert spread == pytest.approx(4 * sqrt((3 * 0.75**2 + 2.25**2) / 4))


def test_maps_are_merged_where_they_may_differ_only() -> None:
    seen = []

    def doubled(maps: Tensor) -> Tensor:
        seen.append(tuple(maps.shape))
        return 2 * maps

    maps = [torch.zeros(70, 100), torch.zeros(70, 100)]
    maps[1][5:9, 40:50] = 1
    merged = merge_in_areas(maps, [Area(0, 0, 0, 0), Area(5, 40, 9, 50)], doubled)
    assert torch.equal(merged, 2 * torch.stack(maps))
    assert seen == [(2, 32, 32)]
