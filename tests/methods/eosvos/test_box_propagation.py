"""Copies of the previous box: how far their sides move, and how many there are."""

from __future__ import annotations

import pytest
import torch

from maskcast.core.errors import ConfigError
from maskcast.methods.eosvos.box_propagation import jittered_boxes, propagate

BOX = torch.tensor([20.0, 30.0, 60.0, 50.0])


def seeded():
    return torch.Generator().manual_seed(0)


def test_every_side_moves_outwards_by_five_per_cent_on_average():
    found = jittered_boxes(BOX[None], 4000, (200, 200), seeded())
    outwards = (found - BOX) * torch.tensor([-1.0, -1.0, 1.0, 1.0]) / torch.tensor([40, 20, 40, 20])
    assert ((outwards >= 0) & (outwards <= 0.1)).all()
    torch.testing.assert_close(outwards.mean(dim=0), torch.full((4,), 0.05), rtol=0, atol=0.0015)
    together = torch.corrcoef(outwards.T) - torch.eye(4)
    assert together.abs().max() < 0.06  # no side's draw is another's


def test_copies_stay_in_the_padded_frame():
    found = jittered_boxes(torch.tensor([[0.0, 0.0, 64.0, 96.0]]), 50, (96, 64), seeded())
    assert found.tolist() == [[0, 0, 64, 96]] * 50


def test_half_of_the_proposals_make_room_for_copies():
    proposals = torch.arange(40.0).view(10, 4)
    named = {"limit": 6, "padded_size": (100, 100), "generator": seeded()}
    extended = propagate(proposals, BOX, mode="extend", **named)
    assert len(extended) == 6
    assert torch.equal(extended[:3], proposals[:3])
    assert len(propagate(proposals, BOX, mode="replace", **named)) == 6
    with pytest.raises(ConfigError, match="must be extend or replace"):
        propagate(proposals, BOX, mode="off", **named)
