"""Boxes and masks of a label map, by hand."""

from __future__ import annotations

import pytest
import torch

from maskcast.core.errors import PromptError
from maskcast.methods.eosvos.targets import corners_of, make_target


def test_box_reaches_one_past_the_last_pixel():
    region = torch.zeros(5, 9, dtype=torch.bool)
    region[1:3, 4:8] = True
    assert corners_of(region).tolist() == [4, 1, 8, 3]
    assert corners_of(torch.zeros(5, 9, dtype=torch.bool)) is None


def test_void_counts_in_the_box_and_silences_the_background():
    label_map = torch.tensor([[0, 1, 255], [0, 0, 0]])
    target = make_target(label_map)
    assert target["boxes"].tolist() == [[1, 0, 3, 1]]
    assert target["masks"].tolist() == [[[255, 1, 255], [255, 255, 255]]]


def test_an_empty_mask_is_refused():
    with pytest.raises(PromptError, match="empty"):
        make_target(torch.zeros(4, 4, dtype=torch.int64))
