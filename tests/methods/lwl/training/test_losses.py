"""Losses by hand: absent frames, balanced judgements, loose boxes."""

from __future__ import annotations

from math import log

import pytest
import torch

from maskcast.core.errors import ConfigError
from maskcast.methods.lwl.presence import Presence
from maskcast.methods.lwl.training.config import LossConfig
from maskcast.methods.lwl.training.losses import (
    balanced_cross_entropy,
    mask_losses,
    presence_losses,
)


def test_absent_frames_can_be_left_to_the_cross_entropy() -> None:
    masks = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]])
    logits = torch.tensor([[[[0.75, 0.25]]], [[[0.5, 0.25]]]]).logit()
    config = LossConfig(over="frame", cross_entropy=1.0)
    found = mask_losses(logits, masks, config, gather=None)
    # frame 0: errors 1/4 (object), 1/4: 1/4 in all; frame 1: its largest error, 1/2
    torch.testing.assert_close(found["lovasz"], torch.tensor(0.375))
    visible_only = LossConfig(over="frame", cross_entropy=1.0, lovasz_on_absent=False)
    without = mask_losses(logits, masks, visible_only, gather=None)
    torch.testing.assert_close(without["lovasz"], torch.tensor(0.25))
    expected = -(2 * log(0.75) + log(0.5) + log(0.75)) / 4
    torch.testing.assert_close(without["cross_entropy"], torch.tensor(expected))


def test_a_batch_of_absent_frames_has_no_lovasz_loss_but_a_gradient() -> None:
    logits = torch.zeros(1, 2, 3, 4, requires_grad=True)
    config = LossConfig(over="frame", cross_entropy=1.0, lovasz_on_absent=False)
    found = mask_losses(logits, torch.zeros(1, 2, 3, 4), config, gather=None)
    assert found["lovasz"] == 0
    (found["lovasz"] + found["cross_entropy"]).backward()
    assert logits.grad is not None and bool((logits.grad > 0).all())


def test_both_classes_weigh_the_same_whatever_their_number() -> None:
    logits = torch.tensor([[2.0, 2.0, 2.0, -1.0, 5.0]])
    labels = torch.tensor([[True, True, True, False, True]])
    counted = torch.tensor([[True, True, True, True, False]])
    expected = 0.5 * log(1 + torch.tensor(-2.0).exp()) + 0.5 * log(1 + torch.tensor(-1.0).exp())
    torch.testing.assert_close(
        balanced_cross_entropy(logits, labels, counted), torch.tensor(expected)
    )
    assert balanced_cross_entropy(logits, labels, torch.zeros_like(counted)) == 0


def test_judgements_count_only_frames_that_have_an_answer() -> None:
    """Three frames: a right mask, an absent object left empty, one of unknown visibility."""
    masks = torch.zeros(3, 1, 2, 2)
    masks[0, 0, 0] = 1
    logits = torch.full((3, 1, 2, 2), -1.0)
    logits[0, 0, 0, 0] = logits[2, 0] = 1.0  # half of the object: IoU 0.5
    visible = torch.tensor([[1], [0], [-1]], dtype=torch.int8)
    judged = Presence(torch.tensor([[0.0], [-3.0], [9.0]]), torch.tensor([[0.0], [7.0], [7.0]]))
    found = presence_losses(judged, logits, masks, visible)
    expected = 0.5 * log(2) + 0.5 * log(1 + torch.tensor(-3.0).exp())
    torch.testing.assert_close(found["presence"], torch.tensor(expected))
    torch.testing.assert_close(found["right"], torch.tensor(0.5 * log(2)))  # frame 0 alone
    logits[1] = 1.0  # painted where nothing is: wrong
    found = presence_losses(judged, logits, masks, visible)
    wrong = log(1 + torch.tensor(7.0).exp())
    torch.testing.assert_close(found["right"], torch.tensor(0.5 * (log(2) + wrong)))


def test_a_loss_of_nothing_is_rejected() -> None:
    with pytest.raises(
        ConfigError, match="mask_weight, box_weight, presence_weight must be positive"
    ):
        LossConfig(mask_weight=0.0)
    assert LossConfig(mask_weight=0.0, presence_weight=1.0).presence_weight == 1
