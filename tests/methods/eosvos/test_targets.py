"""Boxes and masks of a label map, by hand."""

from __future__ import annotations

import pytest
import torch

from maskcast.core.errors import PromptError
from maskcast.methods.eosvos.targets import make_instance_target, make_target, tight_box


def test_box_reaches_one_past_the_last_pixel():
    region = torch.zeros(5, 9, dtype=torch.bool)
    region[1:3, 4:8] = True
    assert tight_box(region).tolist() == [4, 1, 8, 3]
    assert tight_box(torch.zeros(5, 9, dtype=torch.bool)) is None


def test_void_counts_in_the_box_and_silences_the_background():
    label_map = torch.tensor([[0, 1, 255], [0, 0, 0]])
    target = make_target(label_map)
    assert target["boxes"].tolist() == [[1, 0, 3, 1]]
    assert target["masks"].tolist() == [[[255, 1, 255], [255, 255, 255]]]


def test_every_id_becomes_an_object_of_its_own():
    target = make_instance_target(torch.tensor([[3, 0, 7], [3, 255, 7]]))
    assert target["boxes"].tolist() == [[0, 0, 1, 2], [2, 0, 3, 2]]
    assert target["labels"].tolist() == [1, 1]


@pytest.mark.parametrize("make", [make_target, make_instance_target])
def test_an_empty_mask_is_refused(make):
    with pytest.raises(PromptError, match="empty"):
        make(torch.zeros(4, 4, dtype=torch.int64))
