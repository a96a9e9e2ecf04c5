"""Lovász extension of the Jaccard loss, a differentiable surrogate.

logits   any shape   foreground logits
labels   same shape  1 foreground, 0 background; every pixel counts
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LossOver: TypeAlias = Literal["batch", "frame"]
Gather: TypeAlias = Callable[[Tensor], Tensor]
"""A differentiable function that concatenates the flat tensors of all processes."""


def lovasz_loss(
    logits: Float[Tensor, "frames sequences height width"],
    labels: Float[Tensor, "frames sequences height width"],
    *,
    over: LossOver = "batch",
    gather: Gather | None = None,
    counted: Bool[Tensor, "frames sequences"] | None = None,
) -> Float[Tensor, ""]:
    """Return the Lovász loss (Berman et al., CVPR 2018) of the foreground probability.

    Args:
        logits: foreground logits.
        labels: 1 on the object, else 0.
        over: ``batch`` computes one loss over all pixels of all frames and sequences; ``frame``
            computes the mean of one loss per frame and sequence, Eq. (5) of LWL (ECCV 2020).
        gather: collects the pixels of all processes; used by ``batch`` only, because the mean over
            frames equals the mean of the processes' means.
        counted: frames that count; None counts all. If no frame counts, the loss is 0.
    """
    if counted is not None:
        if not counted.any():
            return 0 * logits.float().sum()
        logits, labels = logits[counted][None], labels[counted][None]
    errors = (labels - logits.float().sigmoid()).abs()
    if over == "frame":
        return lovasz_jaccard(
            errors.flatten(2).flatten(0, 1), labels.flatten(2).flatten(0, 1)
        ).mean()
    errors, labels = errors.flatten(), labels.flatten()
    if gather is not None:
        errors, labels = gather(errors), gather(labels)
    return lovasz_jaccard(errors[None], labels[None])[0]


def lovasz_jaccard(
    errors: Float[Tensor, "rows pixels"], labels: Float[Tensor, "rows pixels"]
) -> Float[Tensor, "rows"]:
    """Return Σ_k m_k (J_k - J_{k-1}) over the errors m of each row, in descending order.

    J_k is the Jaccard loss if exactly the k worst pixels are wrong. Its increments are treated as
    constants in differentiation. If a row has no foreground, the result is its largest error.
    """
    worst_first, order = errors.sort(dim=1, descending=True)
    with torch.no_grad():  # counted in integers: float32 cannot count all pixels of a large batch
        foreground = labels.gather(1, order) == 1
        missed = foreground.cumsum(dim=1, dtype=torch.int32)
        ranks = torch.arange(1, missed.shape[1] + 1, dtype=torch.int32, device=missed.device)
        intersection = missed[:, -1:] - missed
        union = ranks + intersection
        jaccard = 1 - intersection.to(errors.dtype) / union
        increments = torch.cat([jaccard[:, :1], jaccard.diff(dim=1)], dim=1)
    return (worst_first * increments).sum(dim=1)
