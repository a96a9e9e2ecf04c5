"""Objects on their first frames: masks, exact boxes, jittered boxes."""

from __future__ import annotations

import pytest
import torch

from evaluation.small_sets import davis2017, square
from maskcast.core.errors import UsageError
from maskcast.core.types import Box
from maskcast.data.catalogue import open_dataset
from maskcast.data.dataset import Video
from maskcast.evaluation.starts import FROM_MASKS, Start, given_prompts


@pytest.fixture
def video(tmp_path) -> Video:
    return open_dataset("davis2017", davis2017(tmp_path, {"ants": {1: 0, 3: 2}}))[0]


def test_boxes_are_those_of_the_paper(video):
    # the square covers columns 3 to 9 and rows 2 to 8: the width is 9 − 3, without one more
    assert given_prompts(video, Start("box"))[0] == {1: Box(x=3, y=2, width=6, height=6)}
    masks = given_prompts(video, FROM_MASKS)
    assert list(masks) == [0, 2]
    assert torch.equal(masks[0][1], torch.from_numpy(square(1, 0)))


def test_jittered_boxes_stay_close_and_are_the_same_every_time(video):
    jittered = given_prompts(video, Start("box", 0.25))[0][1]
    assert isinstance(jittered, Box)
    assert jittered != Box(x=3, y=2, width=6, height=6)
    assert jittered == given_prompts(video, Start("box", 0.25))[0][1]
    assert abs(jittered.x - 3) <= 1.5
    assert abs(jittered.y - 2) <= 1.5
    assert abs(jittered.x + jittered.width - 9) <= 1.5
    assert abs(jittered.y + jittered.height - 8) <= 1.5


def test_jittered_boxes_of_two_objects_differ(video):
    boxes = given_prompts(video, Start("box", 0.25))
    first, third = boxes[0][1], boxes[2][3]
    assert isinstance(first, Box)
    assert isinstance(third, Box)
    assert first.width != third.width


def test_an_evaluation_without_jitter_keeps_its_request():
    assert Start("box").request == {"init": "box"}
    assert Start("box", 0.15).request == {"init": "box", "box_jitter": 0.15}


@pytest.mark.parametrize("share", [-0.1, 0.5, float("nan")])
def test_rejects_jitter_out_of_range(share):
    with pytest.raises(UsageError, match=r"below 0\.5"):
        Start("box", share)


def test_rejects_jitter_of_masks():
    with pytest.raises(UsageError, match="only boxes"):
        Start("mask", 0.1)
