"""Soft aggregation, by hand."""

from __future__ import annotations

import torch

from maskcast.methods.lwl.aggregation import aggregate_logits


def test_two_equal_claims_share_a_pixel() -> None:
    # odds: background 0.25 / 0.75 = 1/3, objects 1 and 1; over their sum: 1/7, 3/7, 3/7
    expected = torch.tensor([1.0, 3.0, 3.0]).view(3, 1, 1) / 7
    torch.testing.assert_close(aggregate_logits(torch.zeros(2, 1, 1)), expected)


def test_one_object_shares_with_what_it_leaves() -> None:
    # odds p / (1 - p) for the object and (1 - p) / p for the background: p² against (1 - p)²
    p = torch.tensor([[0.1, 0.4], [0.5, 0.9]])
    found = aggregate_logits(torch.logit(p)[None])[1]
    torch.testing.assert_close(found, p.square() / (p.square() + (1 - p).square()))


def test_a_given_mask_owns_its_pixels_exactly() -> None:
    given = torch.tensor([[100.0, -100.0]])
    other = torch.tensor([[15.0, -15.0]])
    merged = aggregate_logits(torch.stack([given, other]))
    assert merged[1].tolist() == [[1.0, 0.0]]
    assert merged[2, 0, 0] < 1e-30
    torch.testing.assert_close(merged.sum(dim=0), torch.ones(1, 2))


def test_many_confident_claims_stay_finite() -> None:
    merged = aggregate_logits(torch.full((50, 2, 2), 100.0))
    torch.testing.assert_close(merged[1:], torch.full((50, 2, 2), 1 / 50))


def test_what_nobody_claims_is_background() -> None:
    merged = aggregate_logits(torch.full((2, 1, 1), -100.0))
    assert merged.flatten().tolist() == [1, 0, 0]
