"""Check whether lower precision is faster, and how much it changes the masks."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from maskcast.core.types import LabelMap


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the device supports bfloat16 natively, so that it is faster than float32."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def share_differing(some: Sequence[LabelMap], others: Sequence[LabelMap]) -> float:
    """Return the share of pixels with different labels, averaged over frames of equal size."""
    shares = [(a != b).float().mean() for a, b in zip(some, others, strict=True)]
    return float(torch.stack(shares).mean())
