"""Boxes and label maps."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch

from maskcast.core.errors import PromptError
from maskcast.core.types import ABSENT, Box, ObjectMasks, masks_and_boxes


def test_a_pixel_goes_to_the_largest_share_and_ties_to_the_background_then_to_the_lower_slot():
    # background 0.5; object 9; object 70000; a tie with the background; a tie of objects
    probs = torch.tensor([[[0.3, 0.6, 0.1, 0.5, 0.4]], [[0.2, 0.2, 0.8, 0.0, 0.4]]])
    assert ObjectMasks((9, 70000), probs).label_map().tolist() == [[0, 9, 70000, 0, 9]]


def test_the_label_map_is_the_arg_max_over_background_and_objects():
    shares = torch.rand(5, 31, 17, generator=torch.Generator().manual_seed(0)).softmax(dim=0)
    ids = (3, 1, 500, 2)
    winner = shares.argmax(dim=0)
    expected = torch.tensor((0, *ids))[winner]
    assert ObjectMasks(ids, shares[1:]).label_map().equal(expected)


def test_without_objects_everything_is_background():
    found = ObjectMasks((), torch.zeros(0, 3, 4)).label_map()
    assert found.dtype == torch.int64
    assert found.equal(torch.zeros(3, 4, dtype=torch.int64))


@pytest.mark.parametrize(
    "numbers",
    [
        (0.0, 0.0, 0.0, 1.0),
        (0.0, 0.0, 1.0, -1.0),
        (math.nan, 0.0, 1.0, 1.0),
        (0.0, math.inf, 1.0, 1.0),
    ],
)
def test_boxes_without_area_or_numbers_are_refused(numbers):
    with pytest.raises(PromptError, match=r"of a box must be (finite|positive)"):
        Box(*numbers)


def test_absent_is_one_value_in_every_process():
    assert pickle.loads(pickle.dumps(ABSENT)) is ABSENT
    assert copy.deepcopy({3: ABSENT})[3] is ABSENT


def test_masks_and_boxes_pass_and_marks_of_absence_do_not():
    prompts = {1: torch.ones(2, 3, dtype=torch.bool), 4: Box(0, 0, 2, 2)}
    assert masks_and_boxes(prompts) == prompts
    with pytest.raises(PromptError, match="object 4 is marked absent"):
        masks_and_boxes({**prompts, 4: ABSENT})
