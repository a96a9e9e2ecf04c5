"""Both ways of merging objects, by hand."""

from __future__ import annotations

import torch

from maskcast.nn.aggregation import aggregate_logits, aggregate_probs


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


def pixel(*foreground: float) -> torch.Tensor:
    """(background, target) of objects with these probabilities."""
    target = torch.tensor(foreground, dtype=torch.float64).view(-1, 1, 1)
    return torch.stack([1 - target, target], dim=1)


def test_the_most_certain_object_leaves_the_background() -> None:
    # background min(0.2, 0.5) = 0.2: odds 0.25; objects 4 and 1
    expected = torch.tensor([0.25, 4.0, 1.0], dtype=torch.float64) / 5.25
    torch.testing.assert_close(
        aggregate_probs(pixel(0.8, 0.5)).flatten(), expected, rtol=0, atol=1e-12
    )


def test_a_single_object_competes_with_its_own_background() -> None:
    # odds 1/4 and 4: the ratio is squared
    expected = torch.tensor([1.0, 16.0], dtype=torch.float64) / 17
    torch.testing.assert_close(aggregate_probs(pixel(0.8)).flatten(), expected, rtol=0, atol=1e-12)


def test_certainty_is_finite_and_ties_go_to_the_first() -> None:
    merged = aggregate_probs(pixel(1.0, 1.0, 0.0))
    assert merged.isfinite().all()
    assert merged[1] == merged[2]
    assert merged.argmax(dim=0).item() == 1
    torch.testing.assert_close(merged.sum(dim=0), torch.ones(1, 1, dtype=torch.float64))


def test_half_and_half_is_background() -> None:
    assert aggregate_probs(pixel(0.5)).argmax(dim=0).item() == 0
