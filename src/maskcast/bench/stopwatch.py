"""Measure durations on a CPU or GPU."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch


class Stopwatch:
    """Adds up the seconds spent in each stage of a segmenter.

    Timing a stage waits for the GPU, which normally runs asynchronously, so whole steps are slower
    while stages are timed.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)
        self.paused = False

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the duration of the block to the time of a stage."""
        if self.paused:
            yield
            return
        wait(self.device)
        began = time.perf_counter()
        yield
        wait(self.device)
        self.seconds[stage] += time.perf_counter() - began


def time_ms(work: Callable[[], object], device: torch.device) -> float:
    """Call ``work`` once, and return the milliseconds until the device has finished."""
    wait(device)
    began = time.perf_counter()
    work()
    wait(device)
    return 1000 * (time.perf_counter() - began)


def median_ms(work: Callable[[], float], *, warm_up: int, repeats: int) -> float:
    """Call ``work`` repeatedly, and return the median of its results after the warm-up calls."""
    return median([work() for _ in range(warm_up + repeats)][warm_up:])


def wait(device: torch.device) -> None:
    """Wait until an accelerator has finished."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
