"""Precisions that e-OSVOS can be trained in."""

from __future__ import annotations

import torch

from maskcast.core.errors import ConfigError


def refuse_low_precision(device: torch.device) -> None:
    """Reject training under autocast on a CPU, where the backward pass of torch 2.15 crashes.

    Raises:
        ConfigError: autocast is enabled and the device is a CPU.
    """
    if device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        raise ConfigError(
            "e-OSVOS cannot be trained in lower precision on the CPU, where PyTorch aborts in the "
            "backward pass; use precision 32",
            options=("loop.precision",),
        )
