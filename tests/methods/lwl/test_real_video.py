"""The weights in the package on a real video in which the object leaves and returns."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import pytest

from maskcast.core.segmenter import segment_video
from maskcast.core.types import Box
from maskcast.io.video.source import open_frames
from maskcast.methods.spec import load_segmenter

CHECKOUT = Path(__file__).parents[3]
DOG = Path(os.environ.get("MASKCAST_DATA", CHECKOUT.parent / "shared/data")) / "videos/dog.mp4"


@pytest.mark.slow
@pytest.mark.skipif(not DOG.is_file(), reason="the video is not here")
def test_a_dog_that_leaves_is_absent_until_it_returns() -> None:
    """It leaves on frames 70 to 73 at the right border and returns there on frames 101 to 108."""
    video = islice(open_frames(DOG).frames(60), 53)
    segmenter = load_segmenter("lwl-small", device="cpu")
    found = dict(enumerate(segment_video(segmenter, video, {0: {1: Box(895, 385, 345, 170)}}), 60))
    areas = {frame: int((masks.label_map() == 1).sum()) for frame, masks in found.items()}
    assert min(areas[frame] for frame in range(60, 70)) > 5_000
    for frame in range(74, 101):
        presence = found[frame].presence
        assert presence is not None
        assert areas[frame] == 0 and presence[0] < 0.5
    for frame in range(106, 113):
        rows, columns = (found[frame].label_map() == 1).nonzero(as_tuple=True)
        assert 3_000 < len(rows) < 40_000
        assert columns.min() > 900 and rows.min() > 300 and rows.max() < 620
