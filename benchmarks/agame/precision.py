"""Measure how bfloat16 changes the labels of A-GAME, by seed and with parts kept in float32.

    python benchmarks/agame/precision.py                       every case, seed 0
    python benchmarks/agame/precision.py --seeds 0 1 2 3 4 --cases shipped first-frame-rounded

The workload is that of ``maskcast bench``: the full-size network with seeded weights on synthetic
frames of 480×854. Prints the share of labels, in per cent, that differ from those of float32.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from copy import deepcopy
from typing import TypeAlias

import torch
from torch import Tensor, nn

from maskcast.bench.precision import share_differing
from maskcast.methods.agame.bench import labels
from maskcast.methods.agame.config import AgameConfig
from maskcast.methods.agame.network import AgameNetwork
from maskcast.methods.agame.segmenter import AgameSegmenter

Hook: TypeAlias = Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]

CASES: dict[str, tuple[str, ...]] = {
    "shipped": (),
    "first-frame-rounded": (),
    "trunk": ("trunk",),
    "propagation": ("propagation",),
    "fusion": ("fusion",),
    "decoder": ("decoder",),
    "heads": ("propagation", "fusion", "decoder"),
}
"""What computes in float32 beside what ``--dtype bfloat16`` leaves there."""


def change(network: AgameNetwork, case: str) -> None:
    """Let the parts of a case compute in float32, on what the others give in bfloat16."""
    exact_parts = CASES[case]
    if case == "first-frame-rounded":
        network.exact_trunk = None
    if "trunk" in exact_parts:
        assert network.exact_trunk is not None
        network.trunk = network.exact_trunk
    for name in ("propagation", "fusion", "decoder"):
        if name in exact_parts:
            network.get_submodule(name).float()

    def take(name: str, kept: int) -> Hook:
        dtype = torch.float32 if name in exact_parts else torch.bfloat16
        return lambda _, maps: (*maps[:kept], *(one.to(dtype) for one in maps[kept:]))

    network.fusion.register_forward_pre_hook(take("fusion", 1))  # scores stay as they are
    network.decoder.register_forward_pre_hook(take("decoder", 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    asked = parser.parse_args()
    print("seed  case                 " + "".join(f"{n:>10} obj." for n in asked.objects))
    for seed in asked.seeds:
        torch.manual_seed(seed)
        network = AgameNetwork(AgameConfig())
        exact = AgameSegmenter(AgameConfig(), deepcopy(network))
        expected = [labels(exact, objects, frames=asked.frames) for objects in asked.objects]
        for case in asked.cases:
            rounded = AgameSegmenter(AgameConfig(), deepcopy(network), dtype=torch.bfloat16)
            change(rounded.network, case)
            found = [labels(rounded, objects, frames=asked.frames) for objects in asked.objects]
            shares = [100 * share_differing(*both) for both in zip(expected, found, strict=True)]
            print(f"{seed:<4}  {case:20}" + "".join(f"{s:15.2f}" for s in shares), flush=True)


if __name__ == "__main__":
    main()
