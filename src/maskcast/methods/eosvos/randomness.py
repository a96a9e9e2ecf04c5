"""Random draws that come from a seed and leave torch's global generators as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seed torch's global generators inside the block only.

    torchvision's samplers know no other generator. Only the CPU's and this device's are touched.
    """
    on_cuda = device is not None and device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_cuda else []):
        torch.default_generator.manual_seed(seed)
        if on_cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def generator_of(*numbers: int) -> torch.Generator:
    """A generator on the CPU whose seed mixes these numbers, each below 2**32."""
    seed = 0
    for number in numbers:
        seed = (seed * 0x9E3779B97F4A7C15 + number + 1) % 2**64
    return torch.Generator().manual_seed(seed)
