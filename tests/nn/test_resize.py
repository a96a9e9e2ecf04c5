"""Resizing follows the half-pixel convention."""

from __future__ import annotations

import pytest
import torch

from maskcast.nn.resize import resize_bicubic, resize_bilinear


@pytest.mark.parametrize("resize", [resize_bilinear, resize_bicubic])
def test_the_same_size_is_the_same_tensor(resize) -> None:
    maps = torch.zeros(1, 1, 3, 4)
    assert resize(maps, (3, 4)) is maps


def test_a_ramp_stays_a_ramp_away_from_the_border() -> None:
    ramp = torch.arange(12.0).view(1, 1, 1, 12)
    found = resize_bilinear(ramp, (1, 24))[0, 0, 0, 6:-6]
    expected = (torch.arange(24.0)[6:-6] + 0.5) / 2 - 0.5  # centre of output pixel i in the input
    torch.testing.assert_close(found, expected)


def test_bicubic_weights_are_those_of_a_three_quarters() -> None:
    impulse = torch.zeros(1, 1, 1, 9)
    impulse[..., 4] = 1
    found = resize_bicubic(impulse, (1, 18))[0, 0, 0]
    # Keys' kernel with a = -0.75 at distances 0.25, 0.75, 1.25 and 1.75
    near, far = ((1.25 * x - 2.25) * x * x + 1 for x in (0.25, 0.75))
    beyond, last = (-0.75 * (((x - 5) * x + 8) * x - 4) for x in (1.25, 1.75))
    expected = torch.tensor([last, beyond, far, near, near, far, beyond, last])
    torch.testing.assert_close(found[5:13], expected)
