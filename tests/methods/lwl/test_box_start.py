"""Patches around boxes, and boxes in pixels of a patch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from maskcast.core.types import Box
from maskcast.methods.lwl.box_start import box_in, box_patch
from maskcast.methods.lwl.config import CropConfig
from maskcast.methods.lwl.crop import Patch

CONFIG = CropConfig(size=(40, 60))


@pytest.mark.parametrize(
    "box",
    [
        Box(50.0, 60.0, 20.0, 30.0),
        Box(10.0, 100.0, 280.0, 4.0),  # three times its root of area would cut its ends off
        Box(150.0, 2.0, 3.0, 190.0),
        Box(0.0, 0.0, 300.0, 200.0),
        Box(297.0, 199.0, 3.0, 1.0),
    ],
)
def test_the_patch_around_a_box_holds_all_of_it(box: Box) -> None:
    patch = box_patch(box, (200, 300), replace(CONFIG, search_area=3.0))
    (top, left), (bottom, right) = patch.extent
    assert top <= box.y and box.y + box.height <= bottom
    assert left <= box.x and box.x + box.width <= right
    moved = box_in(patch, box)
    assert min(moved.x, moved.y) >= 0
    assert moved.x + moved.width <= 60 and moved.y + moved.height <= 40
    back = moved.x * (right - left) / 60 + left, moved.y * (bottom - top) / 40 + top
    assert back == pytest.approx((box.x, box.y))


def test_a_box_in_pixels_of_its_patch() -> None:
    patch = Patch((40, 60), 2, (0, 0), (5, 10), (25, 40))  # rows 10 to 50, columns 20 to 80
    assert box_in(patch, Box(26.0, 12.0, 10.0, 20.0)) == Box(6.0, 2.0, 10.0, 20.0)
    assert box_in(replace(patch, output=(80, 30)), Box(26.0, 12.0, 10.0, 20.0)) == Box(
        3.0, 4.0, 5.0, 40.0
    )
