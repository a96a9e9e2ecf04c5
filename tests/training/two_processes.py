"""What ``test_processes`` lets two processes do under torchrun: ``two_processes.py JOB FOLDER``."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed

sys.path.insert(0, str(Path(__file__).parent.parent))

from maskcast.core.errors import TrainingError
from maskcast.core.training import Recipe
from maskcast.nn.lovasz import Gather, lovasz_loss
from maskcast.training.gather import gather_for_loss
from maskcast.training.loop import train
from training.toy_task import (
    TOY,
    Crash,
    ToyConfig,
    ToyInParts,
    ToyTask,
    crashing,
    with_loop,
)

DROPOUT = with_loop(replace(TOY.config, dropout=0.5), checkpoint_every=100, checkpoint_minutes=0.0)
OVER_BATCH = with_loop(replace(TOY.config, over_batch=True))
IN_PARTS = Recipe(TOY.title, TOY.config, ToyInParts)
TROUBLED = replace(TOY.config, poison=(3,), broken=(9,))
HOPELESS = with_loop(replace(TOY.config, poison=(2, 3, 6, 7, 10, 11, 14, 15)), bad_steps_limit=3)
"""Of each batch of four, the second process has the last two."""


def toy_train(folder: Path, config: ToyConfig, recipe: Recipe[ToyConfig] = TOY) -> None:
    train("toy", recipe, folder, config=config, device="cpu")


def batch_loss(claims: torch.Tensor) -> torch.Tensor:
    """Return a loss that is no mean over items: its terms are weighted by their rank."""
    ordered, _ = claims.sort(descending=True)
    return (ordered * torch.arange(1, len(ordered) + 1, dtype=ordered.dtype)).sum() ** 2


def lovasz_clips() -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and labels: frames × sequences × height × width."""
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(2, 3, 4, 5, generator=generator)
    return logits, (torch.rand(2, 3, 4, 5, generator=generator) < 0.4).float()


def lovasz_over(sequences: slice, gather: Gather | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return LWL's loss over a batch of these sequences, and what its gradient goes to."""
    logits, labels = lovasz_clips()
    weight = torch.tensor([1.5, -0.2], requires_grad=True)
    own = (logits * weight[0] + weight[1])[:, sequences]
    return lovasz_loss(own, labels[:, sequences], over="batch", gather=gather), weight


def lovasz(folder: Path) -> None:
    """Two sequences in the first process, one in the second; write value and mean gradient."""
    first = torch.distributed.get_rank() == 0
    loss, weight = lovasz_over(slice(0, 2) if first else slice(2, 3), gather_for_loss)
    loss.backward()
    assert weight.grad is not None
    torch.distributed.all_reduce(weight.grad)
    if first:
        found = {"loss": float(loss), "gradient": (weight.grad / 2).tolist()}
        (folder / "lovasz.json").write_text(json.dumps(found))


def gather(folder: Path) -> None:
    """Gather 3 items of the first process and 2 of the second; write value and mean gradient."""
    weight = torch.tensor([0.5, -2.0], dtype=torch.float64, requires_grad=True)
    items = torch.tensor([[1, 2], [3, -1], [0, 1], [-2, 2], [4, 1]], dtype=torch.float64)
    own = items[:3] if torch.distributed.get_rank() == 0 else items[3:]
    gathered = gather_for_loss(own @ weight)
    loss = batch_loss(gathered)
    loss.backward()
    assert weight.grad is not None
    torch.distributed.all_reduce(weight.grad)
    if torch.distributed.get_rank() == 0:
        found = {
            "gathered": gathered.tolist(),
            "loss": float(loss),
            "gradient": (weight.grad / 2).tolist(),
        }
        (folder / "gather.json").write_text(json.dumps(found))


def hopeless(folder: Path) -> None:
    """Write what each process ends with."""
    try:
        toy_train(folder / "hopeless", HOPELESS)
    except TrainingError as error:
        (folder / f"ended-{torch.distributed.get_rank()}.txt").write_text(str(error))


class HasSpare(ToyTask):
    """Trains a parameter that its loss has no use for."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        self.module.spare = torch.nn.Parameter(torch.zeros(2))

    def parameter_groups(self):
        return [*super().parameter_groups(), {"params": [self.module.spare]}]


def unused(folder: Path) -> None:
    """Train with a spare parameter, told and untold; write what the latter ends with."""
    recipe = Recipe(TOY.title, TOY.config, HasSpare)
    toy_train(folder / "unused", with_loop(unused_parameters=True), recipe)
    try:
        toy_train(folder / "untold", TOY.config, recipe)
    except TrainingError as error:
        (folder / f"untold-{torch.distributed.get_rank()}.txt").write_text(str(error))


def quick(folder: Path) -> None:
    """Do everything that ends by itself."""
    toy_train(folder / "unbroken", DROPOUT)
    gather(folder)
    lovasz(folder)
    try:
        toy_train(folder / "broken", DROPOUT, crashing(5))
    except Crash:
        toy_train(folder / "broken", DROPOUT)
    toy_train(folder / "batch", OVER_BATCH)
    toy_train(folder / "parts", with_loop(accumulate=2))
    toy_train(folder / "trouble", TROUBLED)
    hopeless(folder)
    toy_train(folder / "validation", TOY.config, IN_PARTS)
    unused(folder)


class DiesAlone(ToyTask):
    """The second process is killed in its sixth step."""

    def loss(self, batch):
        self.validations += 1
        if self.validations == 6 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(batch)


def die(folder: Path) -> None:
    """Kill one of the processes; torchrun ends the other."""
    toy_train(folder / "broken", DROPOUT, Recipe(TOY.title, TOY.config, DiesAlone))


def go_on(folder: Path) -> None:
    """Resume what was killed."""
    toy_train(folder / "broken", DROPOUT)


if __name__ == "__main__":
    {"quick": quick, "die": die, "go_on": go_on}[sys.argv[1]](Path(sys.argv[2]))
