"""Seeded random numbers that leave torch's global generators unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


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
