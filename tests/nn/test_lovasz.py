"""The Lovász loss, by hand and by finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from maskcast.nn.lovasz import lovasz_jaccard, lovasz_loss


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def test_by_hand() -> None:
    # worst first: 0.6 (foreground), 0.5 (background), 0.1 (foreground); two of them foreground:
    # J = 1 - 1/2, 1 - 1/3, 1 - 0/3, so the increments are 1/2, 1/6, 1/3
    loss = lovasz_jaccard(row(0.1, 0.5, 0.6), row(1, 0, 1))
    torch.testing.assert_close(loss, row(0.6 / 2 + 0.5 / 6 + 0.1 / 3)[0], rtol=0, atol=1e-12)


def test_on_binary_errors_it_is_the_jaccard_loss() -> None:
    labels, found = row(1, 1, 1, 0, 0, 0), row(1, 0, 1, 1, 0, 0)
    loss = lovasz_jaccard((labels - found).abs(), labels)
    torch.testing.assert_close(loss, row(1 - 2 / 4)[0], rtol=0, atol=1e-12)


def test_without_foreground_it_is_the_largest_error() -> None:
    assert lovasz_jaccard(row(0.2, 0.7, 0.3), row(0, 0, 0)).item() == 0.7


def clips() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    labels = (torch.rand(2, 3, 4, 5, generator=generator) > 0.6).double()
    return logits, labels


def test_over_frames_it_is_the_mean_of_one_loss_each() -> None:
    logits, labels = clips()
    apart = [
        lovasz_loss(logits[t : t + 1, b : b + 1], labels[t : t + 1, b : b + 1])
        for t in range(2)
        for b in range(3)
    ]
    found = lovasz_loss(logits, labels, over="frame")
    torch.testing.assert_close(found, torch.stack(apart).mean(), rtol=0, atol=1e-7)
    assert abs(found - lovasz_loss(logits, labels)) > 1e-3


def test_the_pixels_of_all_processes_make_one_jaccard() -> None:
    logits, labels = clips()
    others = iter([lovasz_errors(logits[:, 1:], labels[:, 1:]), labels[:, 1:].flatten()])
    found = lovasz_loss(
        logits[:, :1], labels[:, :1], gather=lambda mine: torch.cat([mine, next(others)])
    )
    torch.testing.assert_close(found, lovasz_loss(logits, labels), rtol=0, atol=1e-7)


def lovasz_errors(logits: Tensor, labels: Tensor) -> Tensor:
    return (labels - logits.float().sigmoid()).abs().flatten()


@pytest.mark.parametrize("place", [(0, 0, 0, 0), (1, 2, 3, 4), (0, 1, 2, 3)])
def test_gradient_is_the_slope(place: tuple[int, int, int, int]) -> None:
    _, labels = clips()
    errors = torch.linspace(0.1, 0.9, labels.numel(), dtype=torch.float64)
    errors = errors[torch.randperm(len(errors), generator=torch.Generator().manual_seed(1))]
    errors = errors.view(labels.shape).requires_grad_()
    loss = lovasz_jaccard(errors.flatten()[None], labels.flatten()[None]).sum()
    (gradient,) = torch.autograd.grad(loss, errors)
    step = torch.zeros_like(errors)
    step[place] = 1e-6
    ends = [
        lovasz_jaccard((errors + s).detach().flatten()[None], labels.flatten()[None]).sum()
        for s in (step, -step)
    ]
    torch.testing.assert_close(gradient[place], (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-9)
