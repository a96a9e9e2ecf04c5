"""Lovász extension of the Jaccard loss: a surrogate that a network can descend.

logits   any shape   of the foreground
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
"""Concatenates the flat tensors of all processes, differentiably."""


def lovasz_loss(
    logits: Float[Tensor, "frames sequences height width"],
    labels: Float[Tensor, "frames sequences height width"],
    *,
    over: LossOver = "batch",
    gather: Gather | None = None,
    counted: Bool[Tensor, "frames sequences"] | None = None,
) -> Float[Tensor, ""]:
    """Lovász loss (Berman et al., CVPR 2018) on the foreground probability.

    Args:
        logits: of the foreground.
        labels: 1 where the object is, else 0.
        over: ``batch``: one Jaccard over all pixels of all frames and sequences; ``frame``: the
            mean of one Jaccard per frame and sequence, Eq. (5) of LWL (ECCV 2020).
        gather: brings together the pixels of all processes; used by ``batch`` only, since the
            mean over frames is that of the processes' means.
        counted: frames that count; all if not given. Without any the loss is 0.
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
    """Σ_k m_k (J_k - J_{k-1}) over the errors m of each row, in decreasing order.

    J_k is the Jaccard loss when the k worst pixels are wrong; its increments are constants for
    differentiation. Without any foreground this is the largest error.
    """
    worst_first, order = errors.sort(dim=1, descending=True)
    with torch.no_grad():  # counted in integers: a batch may have more pixels than float32 can
        foreground = labels.gather(1, order) == 1
        found = foreground.cumsum(dim=1, dtype=torch.int32)
        ranks = torch.arange(1, found.shape[1] + 1, dtype=torch.int32, device=found.device)
        intersection = found[:, -1:] - found
        union = ranks + intersection
        jaccard = 1 - intersection.to(errors.dtype) / union
        increments = torch.cat([jaccard[:, :1], jaccard.diff(dim=1)], dim=1)
    return (worst_first * increments).sum(dim=1)
