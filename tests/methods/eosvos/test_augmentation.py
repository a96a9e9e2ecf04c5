"""Turning and scaling a frame with its mask, and the published draws."""

from __future__ import annotations

import pytest
import torch

from maskcast.core.errors import DataError
from maskcast.methods.eosvos.augmentation import (
    Warp,
    augment_spatially,
    centred,
    draw_visible_warp,
    warp_frame,
    warp_label_map,
)


def test_no_turn_and_no_scale_change_nothing():
    frame = torch.rand(3, 6, 9)
    torch.testing.assert_close(warp_frame(frame, Warp(0, 1)), frame, rtol=0, atol=1e-5)


def test_a_quarter_turn_is_counter_clockwise_about_the_centre():
    label_map = torch.zeros(8, 8, dtype=torch.uint8)
    label_map[4, 6] = 1  # right of the centre (4, 4) by two
    found = warp_label_map(label_map, Warp(90, 1))
    assert found.nonzero().tolist() == [[2, 4]]  # above it by two


def test_scale_draws_only_use_the_width_of_the_interval():
    assert centred((0.5, 1.0), 0.0, 1.0) == 0.75
    assert centred((0.5, 1.0), 0.5, 1.0) == 1.0
    assert centred((-30.0, 30.0), 1.0, 0.0) == 30


def test_the_object_stays_in_the_frame():
    label_map = torch.zeros(40, 60, dtype=torch.uint8)
    label_map[0:3, 0:3] = 1  # most turns lose a corner
    for seed in range(5):
        warp = draw_visible_warp(label_map, torch.Generator().manual_seed(seed))
        assert (warp_label_map(label_map, warp) == 1).any()
    with pytest.raises(DataError, match="left the frame"):
        draw_visible_warp(torch.zeros(4, 4, dtype=torch.uint8))


def test_frame_and_mask_move_together():
    frame = torch.zeros(3, 50, 50)
    label_map = torch.zeros(50, 50, dtype=torch.uint8)
    frame[:, 10:30, 5:20], label_map[10:30, 5:20] = 1, 1
    for seed in range(4):
        moved, mask = augment_spatially(frame, label_map, torch.Generator().manual_seed(seed))
        overlap = ((moved[0] > 0.5) & (mask == 1)).sum() / ((moved[0] > 0.5) | (mask == 1)).sum()
        assert overlap > 0.9
