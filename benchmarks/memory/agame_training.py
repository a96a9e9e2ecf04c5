"""Measure the memory of a training step of A-GAME: peak resident size of a process on a CPU.

    python benchmarks/memory/agame_training.py [--recipe agame-stage2] [--length 14] [--batch 2]

Prints one line with all activations kept for the backward pass and one with the heads recomputed,
each measured in a separate process. Weights, gradients and the optimiser's state exist before the
step begins.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import replace

import psutil
import torch
from torch import Tensor

from maskcast.bench.memory import peak_mib
from maskcast.methods.agame.training.recipes import RECIPES
from maskcast.methods.agame.training.task import AgameTask, SnippetBatch

GIB = 2**30
CPU = torch.device("cpu")


def measure(recipe: str, *, length: int, batch: int, recompute: bool) -> None:
    """Print the peak of one step, what of it was there before, and what the step keeps."""
    config = replace(RECIPES[recipe].config, recompute=recompute)
    task = AgameTask(config)
    task.module.train()
    groups = [dict(group) for group in task.parameter_groups()]
    optimiser = torch.optim.Adam(groups, lr=config.loop.optimiser.rate)
    for parameter in groups[0]["params"]:
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    snippets = synthetic_snippets(config.snippets.size, length, batch)
    before = psutil.Process().memory_info().rss / GIB
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        if not (tensor.is_leaf and tensor.requires_grad):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = task.loss(snippets)["total"]
    counted, forward = sum(kept.values()) / GIB, peak_mib(CPU) / 1024
    torch.autograd.backward(loss)
    optimiser.step()
    print(
        f"{recipe}, {config.snippets.size}, {length} frames, batch {batch}, recompute={recompute}: "
        f"before {before:.2f} GiB, peak of the forward pass {forward:.2f}, peak "
        f"{peak_mib(CPU) / 1024:.2f}; kept for the backward pass {counted:.2f}, loss "
        f"{float(loss.detach()):.4f}",
        flush=True,
    )


def synthetic_snippets(size: tuple[int, int], length: int, batch: int) -> SnippetBatch:
    """Return noise with a square as its object."""
    frames = torch.randint(0, 256, (batch, length, 3, *size), dtype=torch.uint8)
    labels = torch.zeros(batch, length, *size, dtype=torch.uint8)
    labels[..., size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = 1
    return SnippetBatch(frames, labels)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="agame-stage2", choices=RECIPES)
    parser.add_argument("--length", type=int, default=14)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--recompute", choices=["true", "false"])
    given = parser.parse_args()
    if given.recompute is None:
        for choice in ("false", "true"):
            subprocess.run([sys.executable, *sys.argv, "--recompute", choice], check=True)
    else:
        torch.manual_seed(0)
        measure(
            given.recipe,
            length=given.length,
            batch=given.batch,
            recompute=given.recompute == "true",
        )
