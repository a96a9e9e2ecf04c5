"""Measure how much lower precision changes the masks."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from maskcast.core.types import LabelMap


def share_differing(some: Sequence[LabelMap], others: Sequence[LabelMap]) -> float:
    """Return the share of pixels with different labels, averaged over frames of equal size."""
    shares = [(a != b).float().mean() for a, b in zip(some, others, strict=True)]
    return float(torch.stack(shares).mean())
