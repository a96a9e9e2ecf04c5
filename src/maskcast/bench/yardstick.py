"""The yardstick Y, in whose multiples speeds are stated to make machines comparable."""

from __future__ import annotations

import torch
from torch import nn
from torchvision.models import resnet50

from maskcast.bench.stopwatch import time_ms

TRUNK_SIZE = (480, 832)


class Yardstick:
    """One forward pass of torchvision's plain ResNet-50 trunk at 480×832.

    It runs in float32 and channels_last, on one device, with torch's current number of threads.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        with torch.random.fork_rng(devices=[]):
            network = resnet50(weights=None)
        self._trunk = nn.Sequential(*list(network.children())[:-2]).eval().to(device)
        self._trunk.to(memory_format=torch.channels_last)
        frame = torch.zeros(1, 3, *TRUNK_SIZE, device=device)
        self._frame = frame.to(memory_format=torch.channels_last)

    def __call__(self) -> float:
        """Run the forward pass once, and return its duration in milliseconds."""
        return time_ms(self._forward, self.device)

    @torch.inference_mode()
    def _forward(self) -> None:
        self._trunk(self._frame)
