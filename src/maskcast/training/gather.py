"""Gather a batch from several processes, for losses that are defined over the whole batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed
from jaxtyping import Float
from torch import Tensor


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, items: Tensor) -> Tensor:
        sizes = _sizes(items)
        rank = torch.distributed.get_rank()
        ctx.first, ctx.count, ctx.processes = sum(sizes[:rank]), sizes[rank], len(sizes)
        padded = items.new_zeros((max(sizes), *items.shape[1:]))
        padded[: len(items)] = items
        parts = [torch.empty_like(padded) for _ in sizes]
        torch.distributed.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        of_items: Tensor = gradient[ctx.first : ctx.first + ctx.count] * ctx.processes
        return of_items


def gather_for_loss(local: Float[Tensor, "items *rest"]) -> Float[Tensor, "all_items *rest"]:
    """Return the items of all processes, in the order in which a single process would have them.

    Use it for losses that are not a mean over items. Every process must compute the same loss from
    the result. Then the loss is that of the whole batch, and so are the parameters' gradients after
    the loop has averaged them over processes. Each process propagates only the gradient of its own
    items, multiplied by the number of processes, by which the average divides.

    With one process this is the identity. Processes may have different numbers of items.
    """
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return local
    gathered: Tensor = _Gather.apply(local)
    return gathered


def _sizes(items: Tensor) -> list[int]:
    size = torch.tensor([len(items)], device=items.device)
    sizes = [torch.empty_like(size) for _ in range(torch.distributed.get_world_size())]
    torch.distributed.all_gather(sizes, size)
    return list(map(int, sizes))
