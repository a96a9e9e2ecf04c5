"""Masks and boxes of one object of a clip."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.small_label_maps import labels
from maskcast.core.errors import DatasetError
from maskcast.core.types import Box
from maskcast.data.clips import object_box, object_mask
from maskcast.data.visibility import count_pixels


def test_255_is_an_object_where_a_data_set_has_no_void():
    label_map = labels(o1=2, void=3)
    assert count_pixels(label_map)[255] == 0
    assert count_pixels(label_map, has_void=False)[255] == 3
    assert count_pixels(label_map, merged=True).tolist() == [59, 2]
    assert np.bincount(object_mask(label_map, 1).ravel(), minlength=256)[[0, 1, 255]].tolist() == [
        59,
        2,
        3,
    ]
    assert object_mask(label_map, 255, has_void=False).sum() == 3
    assert object_mask(label_map, None, has_void=False).sum() == 5


def test_tight_box_counts_its_last_column():
    mask = np.zeros((9, 9), dtype=np.uint8)
    mask[2, 3] = mask[5, 7] = 1
    mask[8, 8] = 255
    assert object_box(mask) == Box(3, 2, 5, 4)
    with pytest.raises(DatasetError, match="empty"):
        object_box(mask * 0)
