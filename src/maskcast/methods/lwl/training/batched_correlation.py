"""The correlations of the few-shot learner for several sequences at once.

    tau        sequences × D × C × K × K          filters of the target models
    x          sequences × samples × h × w × C    features of the remembered frames
    r          sequences × samples × h × w × D    residuals, or predictions T_τ(x)

They are batched matrix products, because grouped convolutions are slow on GPUs.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from maskcast.methods.lwl.few_shot_learner import ONE_SEQUENCE, Correlation, Samples


def predict(
    tau: Float[Tensor, "sequences D C K K"], x: Float[Tensor, "sequences samples h w C"]
) -> Float[Tensor, "sequences samples h w D"]:
    """Correlate each sequence with its own filters: one matrix product, then shifts and a sum.

    Every pixel of x is multiplied with all K² taps at once. The product for tap (i, j) is added to
    the pixel that lies i rows up and j columns to the left.
    """
    if len(x) == 1:
        return ONE_SEQUENCE.predict(tau, x)
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


def correlate_adjoint(
    x: Float[Tensor, "sequences samples h w C"],
    r: Float[Tensor, "sequences samples h w D"],
    kernel_size: int,
) -> Float[Tensor, "sequences D C K K"]:
    """Compute the adjoint of ``predict`` with shifts, followed by one matrix product."""
    if len(x) == 1:
        return ONE_SEQUENCE.adjoint(x, r, kernel_size)
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


BATCHED = Correlation(predict, correlate_adjoint)


def samples_of_frames(
    x: Float[Tensor, "samples sequences C h w"],
    e: Float[Tensor, "samples sequences D h w"],
    v: Float[Tensor, "samples sequences D h w"],
) -> Samples:
    """Rearrange tensors that have the frame axis first and channels before height and width."""
    return Samples(*(part.permute(1, 0, 3, 4, 2).contiguous() for part in (x, e, v)))
