"""``speed.compile`` changes the time, not the masks."""

from __future__ import annotations

import shutil

import pytest
import torch

from maskcast.core.config import with_options
from maskcast.core.segmenter import segment_video
from maskcast.data.synthetic.demo import make_demo_clip
from maskcast.methods.lwl.method import build
from maskcast.methods.lwl.presets import tiny


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++ on a processor")
def test_compiled_parts_find_the_same_masks():
    clip = make_demo_clip(frames=4, size=(72, 128))
    frames = [torch.from_numpy(picture).permute(2, 0, 1).float() / 255 for picture in clip.frames]
    first = torch.from_numpy(clip.label_maps[0])
    prompts = {0: {object_id: first == object_id for object_id in clip.ids}}
    plain, compiled = (
        list(segment_video(build(with_options(tiny(), options), None), frames, prompts))
        for options in ({}, {"speed.compile": "true"})
    )
    for expected, found in zip(plain, compiled, strict=True):
        assert found.ids == expected.ids
        torch.testing.assert_close(found.probs, expected.probs, rtol=0, atol=1e-4)
        assert (found.label_map() != expected.label_map()).float().mean() < 0.002
