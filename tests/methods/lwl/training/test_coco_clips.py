"""Instances of COCO as clips of one picture."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fixtures.small_coco import write_coco
from maskcast.core.errors import DatasetError
from maskcast.core.types import Box
from maskcast.data.readers.coco import read_coco
from maskcast.methods.lwl.training.coco_clips import CocoClips


@pytest.fixture
def annotations(tmp_path):
    return write_coco(tmp_path)


def test_a_clip_repeats_one_instance_with_its_own_box(annotations):
    clips = CocoClips("coco", read_coco(annotations, annotations.parent / "images"))
    assert clips.targets == [(1, 0)]  # the other one has a box of 4 pixels, the third is a crowd
    clip = clips.draw(np.random.default_rng(0), 1)
    assert clip.boxes == (Box(2, 1, 4, 4),) * 2
    assert [int(frame[0, 0, 0]) for frame in clip.frames] == [ord("a")] * 2
    assert clip.masks[1].sum() == 16


def test_an_instance_that_is_hidden_by_another_keeps_its_whole_mask(annotations):
    clips = CocoClips(
        "coco", read_coco(annotations, annotations.parent / "images"), smallest_object=3
    )
    drawn = [clips.draw(np.random.default_rng(seed), 0) for seed in range(12)]
    assert {int(clip.masks[0].sum()) for clip in drawn} == {16, 4}


@pytest.mark.parametrize("outline", [[], [[2, 1]], "x", {"size": [8, 10], "counts": [1, 2]}])
def test_an_outline_that_is_none_is_a_broken_item(annotations, outline):
    """The engine passes over what raises ``DataError``."""
    content = json.loads(annotations.read_text())
    content["annotations"][0]["segmentation"] = outline
    annotations.write_text(json.dumps(content))
    clips = CocoClips("coco", read_coco(annotations, annotations.parent / "images"))
    with pytest.raises(DatasetError, match=r"a\.png, instance 0: "):
        clips.draw(np.random.default_rng(0), 1)
