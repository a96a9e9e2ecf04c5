"""Pooling of regions against torchvision's, on one level and on all."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import MultiScaleRoIAlign, roi_align

from maskcast.methods.eosvos.region_pooling import FixedLevels, RegionPooling, pool_from_map


def test_regions_go_to_levels_by_their_size():
    sides = torch.tensor([10.0, 111.0, 112.0, 224.0, 448.0, 2000.0])
    boxes = torch.stack([torch.zeros(6), torch.zeros(6), sides, sides], dim=1)
    assert FixedLevels()([boxes]).tolist() == [0, 0, 1, 2, 3, 3]


def test_pooling_does_not_depend_on_the_first_image_seen():
    maps = {str(level): torch.arange(64.0).view(1, 1, 8, 8) for level in range(4)}
    boxes = [torch.tensor([[0.0, 0.0, 20.0, 20.0]])]
    fresh, used = RegionPooling(2), RegionPooling(2)
    used(maps, boxes, [(17, 17)])  # torchvision infers the scales from this once and keeps them
    assert torch.equal(fresh(maps, boxes, [(32, 32)]), used(maps, boxes, [(32, 32)]))
    assert used.scales == [1 / 4, 1 / 8, 1 / 16, 1 / 32]


REGIONS = torch.tensor(
    [
        [1.3, 2.1, 7.9, 5.2],
        [0.0, 0.0, 12.0, 9.0],  # the whole map
        [-2.5, -3.0, 3.0, 4.0],  # out at the top left
        [9.0, 6.0, 15.5, 13.0],  # out at the bottom right
        [4.2, 4.2, 4.3, 4.3],  # smaller than a cell
        [11.0, 8.0, 12.0, 9.0],  # the last cell
        [30.0, 30.0, 40.0, 40.0],  # outside
    ],
    dtype=torch.float64,
)


@pytest.mark.parametrize("side", [1, 3, 7])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_torchvision(side, layout):
    generator = torch.Generator().manual_seed(0)
    map_ = torch.rand(2, 5, 9, 12, generator=generator, dtype=torch.float64)
    map_ = map_.to(memory_format=layout).requires_grad_()
    image = torch.tensor([0, 1, 1, 0, 0, 1, 0])
    mine = pool_from_map(map_, REGIONS, image, side)
    rows = torch.cat([image[:, None].double(), REGIONS], dim=1)
    theirs = roi_align(map_, rows, side, sampling_ratio=2)
    torch.testing.assert_close(mine, theirs)
    weight = torch.rand(mine.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad((p * weight).sum(), map_)[0] for p in (mine, theirs)]
    torch.testing.assert_close(*gradients)


def test_all_levels_together_are_those_of_torchvision():
    generator = torch.Generator().manual_seed(1)
    maps = {
        str(level): torch.rand(2, 3, 256 >> level, 320 >> level, generator=generator)
        for level in range(2, 6)
    }
    maps = {str(int(name) - 2): map_ for name, map_ in maps.items()}
    corners = 200 * torch.rand(40, 2, generator=generator)
    sides = 900 * torch.rand(40, 2, generator=generator) ** 2 + 1
    boxes = list(torch.cat([corners, corners + sides], dim=1).split([25, 15]))
    sizes = [(256, 320), (256, 320)]
    assert len(FixedLevels()(boxes).unique()) == 4
    theirs = MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=5, sampling_ratio=2)
    torch.testing.assert_close(RegionPooling(5)(maps, boxes, sizes), theirs(maps, boxes, sizes))


def test_no_regions_at_all():
    maps = {str(level): torch.zeros(1, 3, 8, 8) for level in range(4)}
    assert RegionPooling(2)(maps, [torch.zeros(0, 4)], [(32, 32)]).shape == (0, 3, 2, 2)
