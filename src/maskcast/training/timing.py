"""Measure how much time a run spends on data and on computation."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

PHASES = ("waiting for data", "copying to the device", "forward", "backward", "optimiser", "other")


class PhaseTimer:
    """Adds up seconds by phase; if exact, it waits for the device at the end of each phase."""

    def __init__(self, device: torch.device, *, exact: bool) -> None:
        self._wait = exact and device.type != "cpu"
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._began = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block; time outside all blocks counts as "other"."""
        began = time.perf_counter()
        try:
            yield
        finally:
            if self._wait:
                torch.accelerator.synchronize()
            self._seconds[name] += time.perf_counter() - began

    def restart(self) -> None:
        """Start again from 0, after the first step has warmed up caches, compilers and workers."""
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._began = time.perf_counter()

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each phase."""
        total = time.perf_counter() - self._began
        named = sum(seconds for name, seconds in self._seconds.items() if name != "other")
        return {**self._seconds, "other": max(0.0, total - named)}


def time_table(seconds: dict[str, float], steps: int) -> str:
    """Return a table of the share of each phase in the total time, and its time per step."""
    total = sum(seconds.values()) or 1.0
    width = max(map(len, seconds))
    lines = [
        f"{name:<{width}}  {100 * spent / total:5.1f} %  {1000 * spent / max(steps, 1):9.1f} ms"
        for name, spent in seconds.items()
    ]
    return "\n".join([f"{steps} steps, {total / max(steps, 1):.3f} s each", *lines])
