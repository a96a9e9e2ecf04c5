"""Ask about the machine without loading torch into this process."""

from __future__ import annotations

import subprocess
import sys

from maskcast.core.device_names import DeviceName

COUNT = "import torch; print(torch.cuda.device_count())"
LONGEST = 120.0
"""Seconds after which counting is given up."""


def gpu_count(device: DeviceName = "auto") -> int:
    """Return the number of GPUs on which work for a device would be shared.

    A short-lived process counts them, because torch takes much memory and may not be used before a
    fork.

    Args:
        device: ``auto`` and ``cuda`` mean all CUDA GPUs; other names mean one device at most.
    """
    if device not in ("auto", "cuda"):
        return 0 if device == "cpu" else 1
    try:
        return int(printed_by(COUNT) or 0)
    except ValueError:
        return 0


def printed_by(code: str) -> str | None:
    """Return what Python code prints in a process of its own; None if it fails."""
    try:
        finished = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            timeout=LONGEST,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return finished.stdout.strip()
