"""Backgrounds from photographs."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.imitations import write_frame
from maskcast.core.errors import DatasetError
from maskcast.data.readers.image_pairs import read_photographs
from maskcast.data.synthetic.scenes import PhotoScenes


@pytest.mark.parametrize(("size", "largest"), [((30, 30), 80), ((20, 40), 60), ((40, 20), 80)])
def test_a_scene_is_a_part_of_a_photograph_in_its_own_proportions(tmp_path, size, largest):
    ramp = np.zeros((80, 120, 3), dtype=np.uint8)
    ramp[..., 0] = np.arange(120)
    ramp[..., 1] = np.arange(80)[:, None]
    write_frame(tmp_path / "ramp.png", ramp)
    scenes = PhotoScenes(read_photographs(tmp_path))
    for seed in range(6):
        scene = scenes.draw_scene(np.random.default_rng(seed), size)
        assert scene.shape == (3, *size)
        # a part of 70 to 100 % of the largest height that fits, perhaps mirrored
        width = 255 * abs(float(scene[0, 0, -1] - scene[0, 0, 0]))
        height = 255 * float(scene[1, -1, 0] - scene[1, 0, 0])
        assert 0.64 * largest < height < largest
        assert abs(width - height * size[1] / size[0]) < 5


def test_without_photographs_there_are_no_scenes():
    with pytest.raises(DatasetError, match="no photographs"):
        PhotoScenes([])
