"""Detect shot cuts by comparing the colours of consecutive frames.

A frame begins a new shot if its colour histogram shares less than 70 % with that of the frame
before, and its coarse layout of brightness differs too. The second condition keeps flashes and
changes of exposure apart. Dissolves are not detected: each of their frames resembles the one
before. docs/log/absence.md has the measurements behind the limits.

frame        3 × height × width   RGB, 0..1
histogram    bins³                shares of the pixels; they sum to 1
layout       rows · columns       brightness of parts of the frame
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

from maskcast.core.types import Frame

BINS = 8
"""Bins per colour channel."""
ROWS, COLUMNS = 9, 16
"""Parts of a frame whose brightness is compared."""
USUAL_HEIGHT = 72
"""Frames are reduced to at least this many pixels along the shorter side."""
HISTOGRAM_LIMIT = 0.3
"""Minimum difference of the histograms of two shots, as a share of the pixels, 0..1."""
LAYOUT_LIMIT = 0.1
"""Minimum difference of their layouts: 1 minus the correlation of brightness, 0..2."""


class FrameLook(NamedTuple):
    """The features of a frame that are compared."""

    histogram: Float[Tensor, "colours"]
    layout: Float[Tensor, "parts"]


def look_of(frame: Frame) -> FrameLook:
    """Return the colour histogram and the brightness layout of a frame, in main memory."""
    step = max(1, min(frame.shape[-2:]) // USUAL_HEIGHT)
    reduced = avg_pool2d(frame.detach().float()[None], step)[0].cpu()
    bins = (reduced.clamp(0, 1) * BINS).long().clamp(max=BINS - 1)
    colours = (bins[0] * BINS + bins[1]) * BINS + bins[2]
    counts = torch.bincount(colours.flatten(), minlength=BINS**3)
    layout = adaptive_avg_pool2d(reduced.mean(dim=0)[None], (ROWS, COLUMNS)).flatten()
    return FrameLook(counts / counts.sum(), layout)


def differ(before: FrameLook, after: FrameLook) -> bool:
    """Return whether two consecutive frames belong to different shots."""
    shared = torch.minimum(before.histogram, after.histogram).sum()
    if 1 - float(shared) <= HISTOGRAM_LIMIT:
        return False
    pair = torch.stack([before.layout, after.layout]).double()
    pair = pair - pair.mean(dim=1, keepdim=True)
    lengths = pair.norm(dim=1).prod()
    correlation = float(pair.prod(dim=0).sum() / lengths) if lengths > 1e-9 else 0.0
    return 1 - correlation > LAYOUT_LIMIT


class CutDetector:
    """Detects the frames of one video that begin a new shot."""

    def __init__(self) -> None:
        self._before: FrameLook | None = None

    def begins_shot(self, frame: Frame) -> bool:
        """Return whether a frame begins a new shot; the first frame does not.

        Args:
            frame: the frame after the one of the last call.
        """
        before, self._before = self._before, look_of(frame)
        return before is not None and differ(before, self._before)
