"""Measure peak memory."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # measuring the process itself must not load it
    import torch

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def reset_peak(device: torch.device) -> None:
    """Start measuring peak memory again, where the system allows it."""
    if device.type == "cuda":
        import torch  # noqa: PLC0415

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
        import torch  # noqa: PLC0415

        return torch.cuda.max_memory_allocated(device) / 2**20
    return process_peak_mib()


def process_peak_mib() -> float:
    """Return the peak memory of this process in MiB; NaN where the system does not report it."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would include what the parent of this process had used
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 2**10
    if resource is None:
        return math.nan
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere
