"""Losses that are defined over the batch, when the batch is spread over several processes."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from jaxtyping import Float
from torch import Tensor


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        sizes = _sizes(own)
        rank = torch.distributed.get_rank()
        ctx.first, ctx.count, ctx.processes = sum(sizes[:rank]), sizes[rank], len(sizes)
        padded = own.new_zeros((max(sizes), *own.shape[1:]))
        padded[: len(own)] = own
        parts = [torch.empty_like(padded) for _ in sizes]
        torch.distributed.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        own: Tensor = gradient[ctx.first : ctx.first + ctx.count] * ctx.processes
        return own


def gather_for_loss(own: Float[Tensor, "items *rest"]) -> Float[Tensor, "all_items *rest"]:
    """Return the items of all processes, in the order one process would have them.

    For losses that are no mean over items. Every process must compute the same loss from what is
    returned; then its value is that of the whole batch, and so are the gradients of the parameters
    after they are averaged over processes, as the loop does. Each process passes back the gradient
    of its own items alone, times the number of processes, which the average divides by again.

    With one process this is the identity. Processes may hold different numbers of items.
    """
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return own
    gathered: Tensor = _Gather.apply(own)
    return gathered


def _sizes(own: Tensor) -> list[int]:
    size = torch.tensor([len(own)], device=own.device)
    sizes = [torch.empty_like(size) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(sizes, size)
    return [int(each) for each in sizes]
