"""Which methods have a benchmark; only ``maskcast bench`` imports this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias, runtime_checkable

import torch

from maskcast.methods.agame.bench import bench as agame
from maskcast.methods.eosvos.bench import bench as eosvos
from maskcast.methods.lwl.bench import bench as lwl

Cases: TypeAlias = Mapping[str, Mapping[str, float]]
"""Figures by name, by case."""


@runtime_checkable
class Bench(Protocol):
    """Measures every case of a method."""

    def __call__(self, device: torch.device, yardstick_ms: float, /) -> Cases:
        """Return figures by case; ``total_Y`` is in units of the yardstick.

        Args:
            device: where to compute.
            yardstick_ms: duration of the yardstick on this device, in milliseconds.
        """
        ...


BENCHES: dict[str, Bench] = {"lwl": lwl, "agame": agame, "eosvos": eosvos}
"""By name of the method."""
