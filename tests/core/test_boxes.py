"""The box that covers a mask, and the published one, which is one pixel shorter."""

from __future__ import annotations

import numpy as np
import pytest

from maskcast.core.boxes import clipped_box, published_box, tight_box
from maskcast.core.errors import PromptError
from maskcast.core.marks import Box


def mask_of(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros((10, 12), np.bool_)
    mask[rows, columns] = True
    return mask


def test_the_tight_box_covers_the_last_pixel():
    assert tight_box(mask_of(slice(3, 8), slice(2, 4))) == Box(2.0, 3.0, 2.0, 5.0)
    assert tight_box(mask_of(slice(9, 10), slice(11, 12))) == Box(11.0, 9.0, 1.0, 1.0)
    assert tight_box(mask_of(slice(0, 0), slice(0, 0))) is None


def test_the_published_box_leaves_out_the_last_pixel_but_has_one():
    assert published_box(mask_of(slice(3, 8), slice(2, 4))) == Box(2.0, 3.0, 1.0, 4.0)
    assert published_box(mask_of(slice(9, 10), slice(11, 12))) == Box(11.0, 9.0, 1.0, 1.0)
    with pytest.raises(PromptError, match="the mask is empty"):
        published_box(mask_of(slice(0, 0), slice(0, 0)))


def test_a_box_around_scattered_pixels():
    mask = np.zeros((9, 9), np.bool_)
    mask[2, 3] = mask[5, 7] = True
    assert tight_box(mask) == Box(3.0, 2.0, 5.0, 4.0)


def test_a_clipped_box_stays_inside_the_frame_and_keeps_a_pixel():
    assert clipped_box(Box(-3.0, 2.0, 10.0, 30.0), (20, 40)) == Box(0.0, 2.0, 7.0, 18.0)
    assert clipped_box(Box(2.5, 3.0, 4.0, 5.0), (20, 40)) == Box(2.5, 3.0, 4.0, 5.0)
    assert clipped_box(Box(90.0, -8.0, 5.0, 2.0), (20, 40)) == Box(39.0, 0.0, 1.0, 1.0)
