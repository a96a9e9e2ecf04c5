"""Boxes and label maps."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch

from maskcast.core.errors import PromptError, UsageError
from maskcast.core.marks import plain_number
from maskcast.core.types import (
    ABSENT,
    Box,
    ObjectMasks,
    masks_and_boxes,
    only_masks,
    split_prompts,
    to_frame,
)


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


def test_the_mask_of_an_object_is_where_the_label_map_has_its_id():
    found = ObjectMasks((9, 2), torch.tensor([[[0.3, 0.6, 0.1]], [[0.2, 0.2, 0.8]]]))
    assert found.mask(9).tolist() == [[False, True, False]]
    assert found.mask(2).tolist() == [[False, False, True]]
    with pytest.raises(UsageError, match="no object 3 in these masks; ids: 9, 2"):
        found.mask(3)


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


def test_prompts_are_split_into_what_is_shown_and_who_is_absent():
    prompts = {1: torch.ones(2, 3, dtype=torch.bool), 4: ABSENT, 6: Box(0, 0, 2, 2), 5: ABSENT}
    assert split_prompts(prompts, (9, 4, 5)) == ({1: prompts[1], 6: prompts[6]}, {4, 5})
    with pytest.raises(PromptError, match="object 5 is marked absent before its first mask"):
        split_prompts(prompts, (4, 1))


@pytest.mark.parametrize("presence", [None, torch.tensor([0.1, 0.9, 0.4])])
def test_some_objects_keep_their_masks_and_their_presence(presence):
    probs = torch.rand(3, 2, 4, generator=torch.Generator().manual_seed(0))
    some = ObjectMasks((7, 3, 5), probs, presence).only({5, 7, 99})
    assert some.ids == (7, 5)
    assert some.probs.equal(probs[[0, 2]])
    assert some.presence is None if presence is None else some.presence.equal(presence[[0, 2]])


@pytest.mark.parametrize("writeable", [True, False])
def test_a_picture_becomes_a_frame_of_its_own(writeable):
    picture = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 15
    picture.flags.writeable = writeable
    frame = to_frame(picture)
    assert frame.dtype == torch.float32
    assert frame.is_contiguous()
    assert frame.shape == (3, 2, 3)
    assert frame[2, 1, 0] == np.float32(picture[1, 0, 2]) / np.float32(255)
    frame.zero_()
    assert picture.max() == 255


def test_boxes_take_numbers_of_numpy_and_torch():
    given = (np.int64(1), np.float32(2.5), torch.tensor(3), np.array(4), 5, 0.5)
    numbers = [plain_number(number) for number in given]
    assert numbers == [1, 2.5, 3, 4, 5, 0.5]
    assert [type(number) for number in numbers] == [int, float, int, int, int, float]
    assert Box(*numbers[:4]) == Box(1, 2.5, 3, 4)


@pytest.mark.parametrize("number", ["1", None, True, [1], np.array([1, 2])])
def test_boxes_take_nothing_but_numbers(number):
    with pytest.raises(PromptError, match="must be numbers, got"):
        plain_number(number)


def test_a_method_without_boxes_takes_masks_only():
    mask, cpu = torch.ones(2, 3, dtype=torch.bool), torch.device("cpu")
    assert list(only_masks({7: mask, 2: mask}, method="e-OSVOS", device=cpu)) == [2, 7]
    with pytest.raises(PromptError, match="e-OSVOS starts from masks, but object 7 has a box"):
        only_masks({2: mask, 7: Box(0.0, 0.0, 1.0, 1.0)}, method="e-OSVOS", device=cpu)
