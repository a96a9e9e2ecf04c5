"""The closed-form steepest descent, against autograd, ridge regression and its own promises."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from maskcast.methods.lwl.few_shot_learner import (
    FewShotLearner,
    Samples,
    descend,
    few_shot_loss,
    predict,
)
from maskcast.methods.lwl.training.batched_correlation import BATCHED, samples_of_frames

C, D, K = 3, 2, 3
KAPPA = torch.tensor([0.1], dtype=torch.float64)


def memory(sequences: int = 1, frames: int = 2, seed: int = 0) -> Samples:
    generator = torch.Generator().manual_seed(seed)

    def draw(channels: int) -> Tensor:
        size = (sequences, frames, 4, 5, channels)
        return torch.randn(size, generator=generator, dtype=torch.float64)

    return Samples(draw(C), draw(D), draw(D))


def filters(sequences: int = 1, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(sequences, D, C, K, K, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("sequences", [1, 3])
def test_prediction_is_a_zero_padded_correlation(sequences: int) -> None:
    samples, tau = memory(sequences), filters(sequences)
    found = BATCHED.predict(tau, samples.x)
    for b in range(sequences):
        padded = functional.pad(samples.x[b], (0, 0, 1, 1, 1, 1))
        expected = torch.zeros(2, 4, 5, D, dtype=torch.float64)
        for i in range(K):
            for j in range(K):
                expected += padded[:, i : i + 4, j : j + 5] @ tau[b, :, :, i, j].T
        torch.testing.assert_close(found[b], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("sequences", [1, 3])
def test_adjoint(sequences: int) -> None:
    samples, tau = memory(sequences), filters(sequences)
    left = (BATCHED.predict(tau, samples.x) * samples.e).flatten(1).sum(dim=1)
    g = BATCHED.adjoint(samples.x, samples.e, K)
    torch.testing.assert_close(left, (tau * g).flatten(1).sum(dim=1), rtol=1e-12, atol=1e-12)


def test_a_step_goes_along_the_gradient_to_the_lowest_point_of_the_line() -> None:
    samples, tau = memory(), filters().requires_grad_()
    (gradient,) = torch.autograd.grad(few_shot_loss(tau, samples, KAPPA).sum(), tau)
    moved = list(descend(tau.detach(), samples, KAPPA, 1))[-1].tau
    alpha = ((tau - moved) / gradient).detach()
    torch.testing.assert_close(alpha, alpha.mean().expand_as(alpha), rtol=1e-9, atol=0)
    length = alpha.mean().clone().requires_grad_()
    along = few_shot_loss(tau.detach() - length * gradient, samples, KAPPA).sum()
    (slope,) = torch.autograd.grad(along, length)
    assert abs(slope) < 1e-9 * gradient.square().sum()


def test_loss_falls_at_every_step_down_to_ridge_regression() -> None:
    samples = memory(frames=3)
    iterates = list(descend(torch.zeros_like(filters()), samples, KAPPA, 3000))
    losses = torch.stack([few_shot_loss(i.tau, samples, KAPPA)[0] for i in iterates[:50]])
    assert (losses.diff() < 0).all()
    patches = functional.unfold(samples.x[0].permute(0, 3, 1, 2), K, padding=1)  # frames, CK², P
    rows = patches.movedim(1, 2).reshape(-1, C * K * K)
    for d in range(D):
        v = samples.v[0, ..., d].reshape(-1, 1)
        system = (v * rows).T @ (v * rows) + KAPPA**2 * torch.eye(C * K * K, dtype=torch.float64)
        solution = torch.linalg.solve(
            system, (v * rows).T @ (v * samples.e[0, ..., d].reshape(-1, 1))
        )
        found = iterates[-1].tau[0, d].reshape(-1, 1)
        torch.testing.assert_close(found, solution, rtol=1e-5, atol=1e-6)


def test_scores_are_carried_along() -> None:
    samples = memory()
    for start in (torch.zeros_like(filters()), filters()):
        last = list(descend(start, samples, KAPPA, 4))[-1]
        torch.testing.assert_close(last.scores, predict(last.tau, samples.x), rtol=0, atol=1e-10)


def test_sequences_do_not_disturb_each_other() -> None:
    together, tau = memory(sequences=3), filters(3)
    found = list(descend(tau, together, KAPPA, 3, BATCHED))[-1].tau
    for b in range(3):
        alone = Samples(*(part[b : b + 1] for part in (together.x, together.e, together.v)))
        expected = list(descend(tau[b : b + 1], alone, KAPPA, 3))[-1].tau[0]
        torch.testing.assert_close(found[b], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("sequences", [1, 2])
def test_gradients_pass_through_every_step(sequences: int) -> None:
    samples = memory(sequences)
    inputs = (filters(sequences), samples.x, samples.e, samples.v, KAPPA.clone())

    def fitted(tau: Tensor, x: Tensor, e: Tensor, v: Tensor, kappa: Tensor) -> Tensor:
        return list(descend(tau, Samples(x, e, v), kappa, 2, BATCHED))[-1].tau

    assert torch.autograd.gradcheck(
        fitted, tuple(t.requires_grad_() for t in inputs), fast_mode=True
    )


def test_nothing_to_learn_is_no_reason_for_nan() -> None:
    samples = memory()
    silent = Samples(samples.x, torch.zeros_like(samples.e), torch.zeros_like(samples.v))
    tau = torch.zeros_like(filters())
    last = list(descend(tau, silent, torch.zeros(1, dtype=torch.float64), 3))[-1]
    assert torch.equal(last.tau, tau)


def test_a_large_kappa_pulls_the_filters_to_zero() -> None:
    tau = list(descend(filters(), memory(), torch.tensor([1e4], dtype=torch.float64), 5))[-1].tau
    assert tau.norm() < 1e-5


def test_sums_are_float32_under_autocast() -> None:
    samples = memory()
    half = Samples(*(part.float() for part in (samples.x, samples.e, samples.v)))
    learner = FewShotLearner(0.1)
    plain = learner(torch.zeros_like(filters()).float(), half, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found = learner(torch.zeros_like(filters()).float(), half, 3)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, plain, rtol=0, atol=0)


def test_a_video_is_one_sequence() -> None:
    with pytest.raises((RuntimeError, TypeError)):
        list(descend(filters(2), memory(2), KAPPA, 1))


def test_frames_first_tensors_are_rearranged() -> None:
    x = torch.arange(2 * 3 * C * 4 * 5.0).view(2, 3, C, 4, 5)
    samples = samples_of_frames(x, x[:, :, :D], x[:, :, :D])
    assert samples.x.shape == (3, 2, 4, 5, C)
    assert samples.x[2, 1, 3, 4, 0] == x[1, 2, 0, 3, 4]
