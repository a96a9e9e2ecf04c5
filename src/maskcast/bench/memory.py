"""Measure peak memory."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch must not be loaded, which would change the memory that is measured
    import torch

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def reset_peak(device: torch.device) -> None:
    """Reset the peak memory, if the system supports that."""
    if device.type == "cuda":
        import torch  # noqa: PLC0415

        torch.cuda.reset_peak_memory_stats(device)
        return
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")


def peak_mib(device: torch.device) -> float:
    """Return the peak memory in MiB: of a GPU's allocator, or of the whole process for the CPU.

    The result is NaN if the system does not report it (Windows).
    """
    if device.type == "cuda":
        import torch  # noqa: PLC0415

        return torch.cuda.max_memory_allocated(device) / 2**20
    return process_peak_mib()


def process_peak_mib() -> float:
    """Return the peak memory of this process in MiB; NaN if the system does not report it."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss would include memory of the parent process
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 2**10
    if resource is None:
        return math.nan
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)  # bytes on macOS, else KiB
