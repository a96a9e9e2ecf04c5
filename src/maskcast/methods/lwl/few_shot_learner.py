"""The few-shot learner: fit the target model to a memory by steepest descent in closed form.

    tau        sequences × D × C × K × K          filters of the target model
    x          sequences × samples × h × w × C    features of the remembered frames
    e          sequences × samples × h × w × D    few-shot labels, the targets of T_τ(x)
    v          sequences × samples × h × w × D    weight of each element of the residual

Features are in channels-last order, which the fastest kernels of every device use. One sequence is
computed with convolutions, several with batched matrix products, because grouped convolutions are
slow on GPUs. ``docs/lwl-learner.md`` derives the step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

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

    @classmethod
    def of_frames(
        cls,
        x: Float[Tensor, "samples sequences C h w"],
        e: Float[Tensor, "samples sequences D h w"],
        v: Float[Tensor, "samples sequences D h w"],
    ) -> Samples:
        """Rearrange tensors that have the frame axis first and channels before height and width."""
        return cls(*(part.permute(1, 0, 3, 4, 2).contiguous() for part in (x, e, v)))


@dataclass(frozen=True)
class Iterate:
    """One iterate of the descent."""

    tau: Float[Tensor, "sequences D C K K"]
    scores: Float[Tensor, "sequences samples h w D"]
    """T_τ(x) of the memory, updated at each step rather than recomputed."""


def few_shot_loss(
    tau: Float[Tensor, "sequences D C K K"],
    samples: Samples,
    kappa: Float[Tensor, "1"],
) -> Float[Tensor, "sequences"]:
    """L(τ) = ½ Σ_t ‖v_t ⊙ (T_τ(x_t) - e_t)‖² + ½ κ² ‖τ‖², Eq. (3), one value per sequence.

    The paper's λ is κ² here. As in the published code, the frame weight multiplies the residual, so
    it enters the loss squared.
    """
    residual = samples.v * (predict(tau, samples.x) - samples.e)
    return 0.5 * (_energy(residual) + kappa.square() * _energy(tau))


def descend(
    tau: Float[Tensor, "sequences D C K K"],
    samples: Samples,
    kappa: Float[Tensor, "1"],
    steps: int,
) -> Iterator[Iterate]:
    """Yield τ before and after each of ``steps`` steepest-descent steps of exact length, Eq. (4).

        g = Σ_t x_t *ᵀ (v_t² ⊙ (x_t * τ - e_t)) + κ² τ
        α = ‖g‖² / max(Σ_t ‖v_t ⊙ (x_t * g)‖² + κ² ‖g‖², 1e-8)
        τ ← τ - α g

    Differentiable with respect to all inputs, including the initial τ. Since x*τ is linear in τ,
    the scores are updated by ``x*τ ← x*τ - α (x*g)``, so a step costs one correlation and one
    adjoint.
    """
    v_squared = samples.v.square()
    regulariser = kappa.square()
    starts_at_zero = not tau.requires_grad and not bool(tau.any())
    scores = torch.zeros_like(samples.e) if starts_at_zero else predict(tau, samples.x)
    yield Iterate(tau, scores)
    for _ in range(steps):
        kernel_size = tau.shape[-1]
        g = correlate_adjoint(samples.x, v_squared * (scores - samples.e), kernel_size)
        g = g + regulariser * tau
        response = predict(g, samples.x)
        squared_norm = _energy(g)
        curvature = _energy(samples.v * response) + regulariser * squared_norm
        alpha = (squared_norm / curvature.clamp(min=SMALLEST_CURVATURE)).view(-1, 1, 1, 1, 1)
        tau = tau - alpha * g
        scores = scores - alpha * response
        yield Iterate(tau, scores)


def predict(
    tau: Float[Tensor, "sequences D C K K"],
    x: Float[Tensor, "sequences samples h w C"],
) -> Float[Tensor, "sequences samples h w D"]:
    """Correlate each sequence with its own filters, T_τ(x) = x * τ, accumulating in float32."""
    if len(tau) == 1:
        filters = tau[0].to(x.dtype, memory_format=torch.channels_last)
        scores = functional.conv2d(_images(x), filters, padding=tau.shape[-1] // 2)
        return scores.permute(0, 2, 3, 1)[None].to(tau.dtype)
    return _predict_batched(tau, x)


def correlate_adjoint(
    x: Float[Tensor, "sequences samples h w C"],
    r: Float[Tensor, "sequences samples h w D"],
    kernel_size: int,
) -> Float[Tensor, "sequences D C K K"]:
    """Return x *ᵀ r, the adjoint of τ → x * τ, which is the correlation's weight gradient."""
    if len(x) == 1:
        size = (r.shape[-1], x.shape[-1], kernel_size, kernel_size)
        margin = kernel_size // 2
        g: Tensor = conv2d_weight(_images(x), size, _images(r.to(x.dtype)), padding=margin)  # type: ignore[no-untyped-call]
        return g[None].to(r.dtype)
    return _correlate_adjoint_batched(x, r, kernel_size)


def _images(x: Tensor) -> Tensor:
    """Return one sequence as a batch of images in channels-last format, without copying."""
    return x[0].permute(0, 3, 1, 2)


def _predict_batched(tau: Tensor, x: Tensor) -> Tensor:
    """Compute a grouped correlation as one matrix product, followed by shifts and a sum.

    Every pixel of x is multiplied with all K² taps at once. The product for tap (i, j) is added to
    the pixel that lies i rows up and j columns to the left.
    """
    sequences, samples, height, width, channels = x.shape
    filters, kernel_size = tau.shape[1], tau.shape[-1]
    columns = tau.permute(0, 2, 3, 4, 1).reshape(sequences, channels, -1)
    taps = torch.bmm(x.reshape(sequences, -1, channels), columns.to(x.dtype)).to(tau.dtype)
    taps = taps.view(sequences, samples, height, width, kernel_size, kernel_size, filters)
    margin = kernel_size // 2
    padded = functional.pad(taps, (0, 0, 0, 0, 0, 0, margin, margin, margin, margin))
    return torch.stack(
        [
            padded[:, :, i : i + height, j : j + width, i, j]
            for i in range(kernel_size)
            for j in range(kernel_size)
        ]
    ).sum(dim=0)


def _correlate_adjoint_batched(x: Tensor, r: Tensor, kernel_size: int) -> Tensor:
    """Compute the adjoint of ``_predict_batched``: shifts, followed by one matrix product."""
    sequences, _, height, width, channels = x.shape
    margin = kernel_size // 2
    padded = functional.pad(r, (0, 0, margin, margin, margin, margin))
    last = kernel_size - 1
    shifted = torch.stack(
        [
            padded[:, :, last - i : last - i + height, last - j : last - j + width]
            for i in range(kernel_size)
            for j in range(kernel_size)
        ],
        dim=4,
    )
    columns = shifted.reshape(sequences, -1, kernel_size**2 * r.shape[-1])
    g = torch.bmm(x.reshape(sequences, -1, channels).mT, columns.to(x.dtype)).to(r.dtype)
    return g.view(sequences, channels, kernel_size, kernel_size, -1).permute(0, 4, 1, 2, 3)


def _energy(tensor: Tensor) -> Tensor:
    """Return the squared norm over all axes but the first."""
    return tensor.square().flatten(1).sum(dim=1)


class FewShotLearner(nn.Module):
    """Maps labelled samples to a target model, τ = A_θ(x, E_θ(y)), Eq. (2); κ is learned."""

    def __init__(self, initial_kappa: float) -> None:
        super().__init__()
        self.kappa = nn.Parameter(torch.tensor([initial_kappa]))

    def forward(
        self, tau: Float[Tensor, "sequences D C K K"], samples: Samples, steps: int
    ) -> Float[Tensor, "sequences D C K K"]:
        """Return τ after ``steps`` steps; sums and norms are float32 even under autocast."""
        with torch.autocast(samples.x.device.type, enabled=False):
            for iterate in descend(tau, samples, self.kappa, steps):
                last = iterate
        return last.tau
