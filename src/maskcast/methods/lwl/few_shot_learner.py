"""The few-shot learner: fit the target model to a memory by steepest descent in closed form.

    tau        sequences × D × C × K × K          filters of the target model
    x          sequences × samples × h × w × C    features of the remembered frames
    e          sequences × samples × h × w × D    few-shot labels, the targets of T_τ(x)
    v          sequences × samples × h × w × D    weight of each element of the residual

Features are in channels-last order, which the fastest kernels of every device use. A video is one
sequence; training computes several at once, with ``training.batched_correlation``.
``docs/lwl-learner.md`` derives the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_weight

SMALLEST_CURVATURE = 1e-8


@dataclass(frozen=True)
class Samples:
    """Training samples of the learner: the memories of one or several sequences of equal length."""

    x: Float[Tensor, "sequences samples h w C"]
    e: Float[Tensor, "sequences samples h w D"]
    v: Float[Tensor, "sequences samples h w D"]


@dataclass(frozen=True)
class Iterate:
    """One iterate of the descent."""

    tau: Float[Tensor, "sequences D C K K"]
    scores: Float[Tensor, "sequences samples h w D"]
    """T_τ(x) of the memory, updated at each step rather than recomputed."""


def predict(
    tau: Float[Tensor, "1 D C K K"],
    x: Float[Tensor, "1 samples h w C"],
) -> Float[Tensor, "1 samples h w D"]:
    """Correlate one sequence with its filters, T_τ(x) = x * τ, accumulating in float32."""
    filters = tau.squeeze(0).to(x.dtype, memory_format=torch.channels_last)
    scores = functional.conv2d(_images(x), filters, padding=tau.shape[-1] // 2)
    return scores.permute(0, 2, 3, 1)[None].to(tau.dtype)


def correlate_adjoint(
    x: Float[Tensor, "1 samples h w C"],
    r: Float[Tensor, "1 samples h w D"],
    kernel_size: int,
) -> Float[Tensor, "1 D C K K"]:
    """Return x *ᵀ r, the adjoint of τ → x * τ, which is the correlation's weight gradient."""
    size = (r.shape[-1], x.shape[-1], kernel_size, kernel_size)
    margin = kernel_size // 2
    g: Tensor = conv2d_weight(_images(x), size, _images(r.to(x.dtype)), padding=margin)  # type: ignore[no-untyped-call]
    return g[None].to(r.dtype)


def _images(x: Tensor) -> Tensor:
    """Return one sequence as a batch of images in channels-last format, without copying."""
    return x.squeeze(0).permute(0, 3, 1, 2)


class Correlation(NamedTuple):
    """A way to compute the correlation with the filters of a target model, and its adjoint."""

    predict: Callable[[Tensor, Tensor], Tensor]
    """Maps τ and x to T_τ(x)."""
    adjoint: Callable[[Tensor, Tensor, int], Tensor]
    """Maps x, r and K to x *ᵀ r."""


ONE_SEQUENCE = Correlation(predict, correlate_adjoint)


def few_shot_loss(
    tau: Float[Tensor, "sequences D C K K"],
    samples: Samples,
    kappa: Float[Tensor, "1"],
    correlation: Correlation = ONE_SEQUENCE,
) -> Float[Tensor, "sequences"]:
    """L(τ) = ½ Σ_t ‖v_t ⊙ (T_τ(x_t) - e_t)‖² + ½ κ² ‖τ‖², Eq. (3), one value per sequence.

    The paper's λ is κ² here. As in the published code, the frame weight multiplies the residual, so
    it enters the loss squared.
    """
    residual = samples.v * (correlation.predict(tau, samples.x) - samples.e)
    return 0.5 * (_energy(residual) + kappa.square() * _energy(tau))


def descend(
    tau: Float[Tensor, "sequences D C K K"],
    samples: Samples,
    kappa: Float[Tensor, "1"],
    steps: int,
    correlation: Correlation = ONE_SEQUENCE,
) -> Iterator[Iterate]:
    """Yield τ before and after each of ``steps`` steepest-descent steps of exact length, Eq. (4).

        g = Σ_t x_t *ᵀ (v_t² ⊙ (x_t * τ - e_t)) + κ² τ
        α = ‖g‖² / max(Σ_t ‖v_t ⊙ (x_t * g)‖² + κ² ‖g‖², 1e-8)
        τ ← τ - α g

    Differentiable with respect to all inputs, including the initial τ. Since x*τ is linear in τ,
    the scores are updated by ``x*τ ← x*τ - α (x*g)``, so a step costs one correlation and one
    adjoint.
    """
    predict, adjoint = correlation
    v_squared = samples.v.square()
    regulariser = kappa.square()
    starts_at_zero = not tau.requires_grad and not bool(tau.any())
    scores = torch.zeros_like(samples.e) if starts_at_zero else predict(tau, samples.x)
    yield Iterate(tau, scores)
    for _ in range(steps):
        kernel_size = tau.shape[-1]
        g = adjoint(samples.x, v_squared * (scores - samples.e), kernel_size)
        g = g + regulariser * tau
        response = predict(g, samples.x)
        squared_norm = _energy(g)
        curvature = _energy(samples.v * response) + regulariser * squared_norm
        alpha = (squared_norm / curvature.clamp(min=SMALLEST_CURVATURE)).view(-1, 1, 1, 1, 1)
        tau = tau - alpha * g
        scores = scores - alpha * response
        yield Iterate(tau, scores)


def _energy(tensor: Tensor) -> Tensor:
    """Return the squared norm over all axes but the first."""
    return tensor.square().flatten(1).sum(dim=1)


class FewShotLearner(nn.Module):
    """Maps labelled samples to a target model, τ = A_θ(x, E_θ(y)), Eq. (2); κ is learned."""

    def __init__(self, initial_kappa: float) -> None:
        super().__init__()
        self.kappa = nn.Parameter(torch.tensor([initial_kappa]))

    def forward(
        self,
        tau: Float[Tensor, "sequences D C K K"],
        samples: Samples,
        steps: int,
        correlation: Correlation = ONE_SEQUENCE,
    ) -> Float[Tensor, "sequences D C K K"]:
        """Return τ after ``steps`` steps; sums and norms are float32 even under autocast."""
        with torch.autocast(samples.x.device.type, enabled=False):
            for iterate in descend(tau, samples, self.kappa, steps, correlation):
                last = iterate
        return last.tau
