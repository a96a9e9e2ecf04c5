"""Frames with masks over them, from what segmenters take and return."""

from __future__ import annotations

import numpy as np
import torch

import maskcast
from maskcast.viz.overlay import draw_overlay


def masks_of_two() -> maskcast.ObjectMasks:
    probs = torch.zeros(2, 90, 120)
    probs[0, 5:45, 5:45], probs[1, 30:75, 30:90] = 0.9, 0.8
    return maskcast.ObjectMasks((7, 2), probs)


def test_a_frame_and_its_masks_are_drawn_like_picture_and_label_map():
    frame, masks = torch.full((3, 90, 120), 0.5), masks_of_two()
    picture = np.full((90, 120, 3), 128, dtype=np.uint8)
    expected = draw_overlay(picture, masks.label_map().numpy())
    np.testing.assert_array_equal(maskcast.overlay(frame, masks), expected)
    np.testing.assert_array_equal(maskcast.overlay(picture, masks.label_map().numpy()), expected)
    np.testing.assert_array_equal(np.asarray(maskcast.show(frame, masks)), expected)


def test_colours_names_and_tint_are_those_given():
    frame, masks = torch.zeros(3, 90, 120), masks_of_two()
    painted = maskcast.overlay(frame, masks, colours={7: (255, 0, 0)}, tint=1.0)
    assert tuple(painted[8, 8]) == (255, 0, 0)
    named = maskcast.overlay(frame, masks, names={2: "X"}, tint=1.0, colours={7: (255, 0, 0)})
    assert not np.array_equal(painted, named)


def test_absent_objects_are_listed_in_the_corner():
    frame = torch.ones(3, 90, 160)
    masks = maskcast.ObjectMasks((7,), torch.zeros(1, 90, 160), torch.tensor([0.2]))
    seen = maskcast.ObjectMasks((7,), torch.zeros(1, 90, 160), torch.tensor([0.5]))
    assert (maskcast.overlay(frame, masks)[:20] < 100).any()
    assert (maskcast.overlay(frame, seen) == 255).all()
