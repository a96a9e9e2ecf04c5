"""The smallest task with everything a loop can get wrong: random data, dropout, a batch loss."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn

from maskcast.core.training import Export, LoopConfig, OptimiserConfig, Recipe
from maskcast.training.gather import gather_for_loss


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """Settings of the toy."""

    width: int = 4
    """Of the hidden layer."""
    dropout: float = 0.0
    """Above 0, the loss also draws from the global generators of python and numpy."""
    items: int = 24
    """Length of an epoch where no iterations are given."""
    broken: tuple[int, ...] = ()
    """Items of every epoch that cannot be read."""
    poison: tuple[int, ...] = ()
    """Items of every epoch that hold NaN."""
    over_batch: bool = False
    """A loss that is no mean over items."""
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=3,
            iterations=4,
            batch_size=4,
            workers=0,
            log_every=1,
            optimiser=OptimiserConfig(rate=1e-2),
        )
    )


@dataclass(frozen=True)
class ToyItems:
    """Points of a line, drawn from every global generator: the loop seeds them for each item."""

    config: ToyConfig
    epoch: int

    def __len__(self) -> int:
        return self.config.items

    def identity(self, index: int) -> str:
        return f"toy {index}"

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if index in self.config.broken:
            raise OSError(f"picture {index} is cut short")
        x = torch.rand(3) + random.random() + float(np.random.rand())  # noqa: NPY002
        if index in self.config.poison:
            x = x * torch.nan
        return x, x.sum()[None] + self.epoch / 10


class ToyTask:
    def __init__(self, config: ToyConfig) -> None:
        self.config = config
        self.module = nn.Sequential(
            nn.Linear(3, config.width),
            nn.Tanh(),
            nn.Dropout(config.dropout),
            nn.Linear(config.width, 1),
        )
        self.validations = 0

    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        return [
            {"name": "first", "params": self.module[0].parameters(), "lr": 2e-2},
            {"name": "last", "params": self.module[3].parameters()},
        ]

    def loss(self, batch: tuple[Tensor, Tensor]) -> Mapping[str, Tensor]:
        x, y = batch
        if self.config.dropout:
            x = x + random.gauss(0, 0.1) + np.random.standard_normal() / 10  # noqa: NPY002
        errors = (self.module(x) - y).abs()
        if self.config.over_batch:
            errors = gather_for_loss(errors)
            total = errors.square().mean().sqrt() + errors.max()
        else:
            total = errors.mean()
        return {"total": total, "worst": errors.max()}

    def dataset(self, epoch: int) -> ToyItems:
        return ToyItems(self.config, epoch)

    @staticmethod
    def collate(items: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        return torch.stack([x for x, _ in items]), torch.stack([y for _, y in items])

    def export(self) -> Export:
        return Export(
            "toy", {"width": self.config.width}, self.module.state_dict(), {"note": "toy"}
        )

    def validation_parts(self) -> int:
        return 1

    def validate_part(self, part: int) -> Mapping[str, float]:
        assert not self.module.training
        torch.rand(3)  # a validation may draw; the run must not notice
        x = torch.linspace(0, 3, 30).view(10, 3).to(self.module[0].weight.device)
        return {"score": -float((self.module(x) - x.sum(1, keepdim=True)).abs().mean())}

    def pictures(self) -> Mapping[str, Tensor]:
        return {"grey": torch.full((3, 4, 5), 128, dtype=torch.uint8)}


class ToyInParts(ToyTask):
    """Validates in three parts, and tells which process did each."""

    def validation_parts(self) -> int:
        return 3

    def validate_part(self, part: int) -> Mapping[str, float]:
        rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
        torch.rand(1 + rank)
        score = super().validate_part(part)["score"]
        return {"score": score * (1 + part), "rank": rank, "squares": part**2}


TOY = Recipe("a line fitted to points", ToyConfig(), ToyTask)


class Crash(Exception):  # noqa: N818
    """Stands for a power cut: nothing of ours may catch it."""


class CrashingToy(ToyTask):
    """Stops dead in the loss of a given part, counted from the start of the process."""

    def __init__(self, config: ToyConfig, parts: int) -> None:
        super().__init__(config)
        self.parts_left = parts

    def loss(self, batch: tuple[Tensor, Tensor]) -> Mapping[str, Tensor]:
        self.parts_left -= 1
        if self.parts_left < 0:
            raise Crash
        return super().loss(batch)


def crashing(parts: int) -> Recipe[ToyConfig]:
    """Return the toy's recipe with a crash after so many parts."""
    return Recipe(TOY.title, TOY.config, lambda config: CrashingToy(config, parts))


def with_loop(config: ToyConfig = TOY.config, /, **changes: Any) -> ToyConfig:
    """Return a config with other settings of the loop."""
    return replace(config, loop=replace(config.loop, **changes))


def losses_of(folder: Path) -> list[dict[str, Any]]:
    """Return what was logged of each step and validation, apart from the time it took."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def train_losses(folder: Path, name: str = "total") -> list[float]:
    """Return one logged value of every step."""
    return [line[name] for line in losses_of(folder) if line["kind"] == "train"]
