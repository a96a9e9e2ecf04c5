"""Where bfloat16 changes the labels of A-GAME: seed by seed, and with parts kept in float32.

    python benchmarks/agame/precision.py                       every case, seed 0
    python benchmarks/agame/precision.py --seeds 0 1 2 3 4 --cases shipped first-frame-rounded

The workload is that of ``maskcast bench``: the full-size network with seeded weights on made-up
frames of 480×854. Printed is the share of labels, in per cent, that differ from those of float32.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor

from maskcast.methods.agame.bench import labels, share_differing
from maskcast.methods.agame.config import AgameConfig
from maskcast.methods.agame.network import AgameNetwork
from maskcast.methods.agame.segmenter import AgameSegmenter


def first_frame_rounded(network: AgameNetwork) -> None:
    """Let objects begin with features in bfloat16."""
    network.exact_trunk = None


def trunk_exact(network: AgameNetwork) -> None:
    assert network.exact_trunk is not None
    network.trunk = network.exact_trunk


def heads_exact(network: AgameNetwork) -> None:
    for name in ("propagation", "fusion", "decoder"):
        part_exact(name)(network)


def part_exact(name: str) -> Callable[[AgameNetwork], None]:
    """Return what lets one part compute in float32, on what it gets in bfloat16."""

    def widen(network: AgameNetwork) -> None:
        part = network.get_submodule(name).float()
        part.register_forward_pre_hook(lambda _, arguments: tuple(map(_widened, arguments)))

    return widen


def _widened(argument: Tensor | None) -> Tensor | None:
    return None if argument is None else argument.float()


CASES: dict[str, Callable[[AgameNetwork], None]] = {
    "shipped": lambda network: None,
    "first-frame-rounded": first_frame_rounded,
    "trunk": trunk_exact,
    "propagation": part_exact("propagation"),
    "fusion": part_exact("fusion"),
    "decoder": part_exact("decoder"),
    "heads": heads_exact,
}
"""What is changed about the network as ``--dtype bfloat16`` has it."""


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
            CASES[case](rounded.network)
            found = [labels(rounded, objects, frames=asked.frames) for objects in asked.objects]
            shares = [100 * share_differing(*both) for both in zip(expected, found, strict=True)]
            print(f"{seed:<4}  {case:20}" + "".join(f"{s:15.2f}" for s in shares), flush=True)


if __name__ == "__main__":
    main()
