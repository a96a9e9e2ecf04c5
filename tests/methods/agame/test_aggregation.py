"""Merging objects, by hand."""

from __future__ import annotations

import torch

from maskcast.methods.agame.aggregation import aggregate_probs


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
