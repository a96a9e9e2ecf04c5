"""Measure a frame and a fine-tuning step of e-OSVOS with torchvision's kernel for RoIAlign.

    python benchmarks/eosvos/pooling.py [--repeats 3] [--threads 2]

Runs the workloads of ``maskcast bench`` alternately with regions pooled by our own sums and by the
kernel. Prints the median of each, in seconds and in units of Y, which is measured next to each run.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from unittest.mock import patch

import torch

from maskcast.bench.yardstick import Yardstick
from maskcast.methods.eosvos import region_pooling
from maskcast.methods.eosvos.bench import frame_work, step_work

WAYS = ("own sums", "torchvision")


def compare(name: str, repeats: int, device: torch.device) -> None:
    """Time a workload both ways and print what was found."""
    work = {"frame": frame_work, "step": step_work}[name](device)
    yardstick = Yardstick(device)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    ratios: dict[str, list[float]] = {way: [] for way in WAYS}
    for repeat in range(repeats + 1):
        for way in WAYS if repeat % 2 else WAYS[::-1]:
            with patch.object(region_pooling, "_pools_by_sums", lambda _map, w=way: w == WAYS[0]):
                began = time.perf_counter()
                work()
                taken = time.perf_counter() - began
            if repeat:  # the first of each warms up
                seconds[way].append(taken)
                ratios[way].append(1000 * taken / yardstick())
    for way in WAYS:
        print(f"{name:5}  {way:11}  {median(seconds[way]):.2f} s  {median(ratios[way]):.1f} Y")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    for workload in ("frame", "step"):
        compare(workload, given.repeats, torch.device("cpu"))
