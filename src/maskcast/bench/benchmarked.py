"""The interface between ``maskcast bench`` and a method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias, runtime_checkable

import torch

Cases: TypeAlias = Mapping[str, Mapping[str, float]]
"""Figures by case and name; NaN marks figures that this system cannot measure."""


@runtime_checkable
class Benchmarked(Protocol):
    """Measures a method at its full published size, case by case."""

    def __call__(
        self, device: torch.device, yardstick_ms: float, /
    ) -> Iterable[tuple[str, Mapping[str, float]]]:
        """Measure the cases one after the other, each when it is asked for.

        Args:
            device: device to compute on.
            yardstick_ms: duration of the yardstick on this device, in milliseconds.

        Returns:
            name and figures of each case: ``ms`` (milliseconds per frame, or per object and frame),
            ``total_Y`` (the same in units of the yardstick), and further figures of the method.
        """
        ...
