"""The running average, against the recurrence written out."""

from __future__ import annotations

import torch
from torch import nn

from maskcast.training.average import WeightsAverage


def test_the_average_follows_its_recurrence_and_steps_aside():
    """Weights 8, 0, 0 with decays 1/10, 2/11, 1/4 (the smaller of the warm-up and 0.25)."""
    module = nn.BatchNorm1d(1).double()
    module.weight.data.fill_(0.0)
    average = WeightsAverage(module, 0.25)
    for weight in (8.0, 0.0, 0.0):
        module.weight.data.fill_(weight)
        average.update()
    with average.in_place():
        expected = 8 * (1 - 0.1) * (2 / 11) * 0.25  # 3/12 = 0.25 in the third update
        torch.testing.assert_close(module.weight.item(), expected)
        assert module.running_var.item() == 1.0
        assert module.num_batches_tracked.item() == 0  # counts are not averaged
    assert module.weight.item() == 0.0


def test_the_average_is_taken_up_again_from_its_state():
    module, other = nn.Linear(2, 1), nn.Linear(2, 1)
    average, copy = WeightsAverage(module, 0.9), WeightsAverage(other, 0.9)
    for _ in range(3):
        module.weight.data.add_(1.0)
        average.update()
    other.load_state_dict(module.state_dict())
    copy.load_state(average.state())
    for each, weights in ((average, module), (copy, other)):
        weights.weight.data.add_(1.0)
        each.update()
    with average.in_place(), copy.in_place():
        assert torch.equal(module.weight, other.weight)
