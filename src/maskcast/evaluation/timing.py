"""Measure what work costs: times beside a yardstick taken in between, peak memory, rounding."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torchvision.models import resnet50

from maskcast.core.types import LabelMap

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

TRUNK_SIZE = (480, 832)


class Yardstick:
    """Y: one forward pass of torchvision's plain ResNet-50 trunk at 480×832, in float32 and
    channels_last, on one device and torch's present number of threads."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        with torch.random.fork_rng(devices=[]):
            network = resnet50(weights=None)
        self._trunk = nn.Sequential(*list(network.children())[:-2]).eval().to(device)
        self._trunk.to(memory_format=torch.channels_last)
        frame = torch.zeros(1, 3, *TRUNK_SIZE, device=device)
        self._frame = frame.to(memory_format=torch.channels_last)

    def __call__(self) -> float:
        """Run once; returns milliseconds."""
        return time_ms(self._forward, self.device)

    @torch.inference_mode()
    def _forward(self) -> None:
        self._trunk(self._frame)


def time_ms(work: Callable[[], object], device: torch.device) -> float:
    """Do the work once, to the end on an accelerator too; returns milliseconds."""
    wait(device)
    began = time.perf_counter()
    work()
    wait(device)
    return 1000 * (time.perf_counter() - began)


def median_ms(work: Callable[[], float], *, warm_up: int, repeats: int) -> float:
    """Return the median of what ``work`` returns, in ``repeats`` calls after the warm-up."""
    return median([work() for _ in range(warm_up + repeats)][warm_up:])


def wait(device: torch.device) -> None:
    """Let an accelerator finish."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def reset_peak(device: torch.device) -> None:
    """Begin to measure peak memory anew, where the system allows it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")


def peak_mib(device: torch.device) -> float:
    """Return the peak memory in MiB: of the device, or on a CPU of the whole process.

    NaN where the system does not report it (Windows).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 2**10
    if resource is None:
        return math.nan
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16 faster than in float32."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def share_differing(some: Sequence[LabelMap], others: Sequence[LabelMap]) -> float:
    """Return the share of pixels with different labels, the mean over frames of one size."""
    shares = [(a != b).float().mean() for a, b in zip(some, others, strict=True)]
    return float(torch.stack(shares).mean())
