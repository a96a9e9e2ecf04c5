"""Seeded random numbers that leave torch's global generators unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's global generators inside the block only.

    torchvision's samplers do not support other generators. The generators of the CPU and of this
    device are seeded.
    """
    kind = None if device is None else device.type
    with torch.random.fork_rng(devices=[device] if kind == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if kind == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        with _seeded_mps(seed) if kind == "mps" else nullcontext():
            yield


@contextmanager
def _seeded_mps(seed: int) -> Iterator[None]:
    """Do for MPS what ``fork_rng`` does for CUDA."""
    before = torch.mps.get_rng_state()
    torch.mps.manual_seed(seed)
    try:
        yield
    finally:
        torch.mps.set_rng_state(before)


def generator_of(*numbers: int) -> torch.Generator:
    """Return a generator on the CPU whose seed is a hash of these numbers, each below 2**32."""
    seed = 0
    for number in numbers:
        seed = (seed * 0x9E3779B97F4A7C15 + number + 1) % 2**64
    return torch.Generator().manual_seed(seed)


class WithoutDraws(TorchFunctionMode):
    """Inside the block, the parameters of new modules keep whatever values their memory has.

    For networks whose parameters are replaced at once: drawing them takes longer than reading them
    from a file. It holds for the current thread only.
    """

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _DRAWS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


_DRAWS = (
    *(Tensor.normal_, Tensor.uniform_),
    *(init.normal_, init.uniform_, init.kaiming_normal_, init.kaiming_uniform_),
)
