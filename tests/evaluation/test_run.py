"""What a method is told of each video, and what the videos add up to."""

from __future__ import annotations

import torch

from evaluation.small_sets import davis2017, square
from maskcast.core.types import Box
from maskcast.data.catalogue import open_dataset
from maskcast.evaluation.run import ProcessingTime, given_prompts


def test_times_and_frames_of_videos_add_up():
    one, other = ProcessingTime(3, 6, 1.5, 2.0), ProcessingTime(1, 1, 0.25, 4.0)
    assert one.plus(other) == ProcessingTime(4, 7, 1.75, 6.0)


def test_boxes_are_those_of_the_paper(tmp_path):
    root = davis2017(tmp_path, {"ants": {1: 0, 3: 2}})
    video = open_dataset("davis2017", root)[0]
    # the square covers columns 3 to 9 and rows 2 to 8: the width is 9 − 3, without one more
    assert given_prompts(video, "box")[0] == {1: Box(x=3, y=2, width=6, height=6)}
    masks = given_prompts(video, "mask")
    assert list(masks) == [0, 2]
    assert torch.equal(masks[0][1], torch.from_numpy(square(1, 0)))
