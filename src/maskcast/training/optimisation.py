"""The optimiser, and the factor by which its learning rates change over a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn

from maskcast.core.errors import ConfigError
from maskcast.core.training import OptimiserConfig, ScheduleConfig, Task

_FULL_RATE = "full_rate"


Group = dict[str, Any]
"""Parameters that share their settings: ``params``, ``lr``, and whatever the task added."""


def groups_of(task: Task, config: OptimiserConfig) -> list[Group]:
    """Return the task's groups with their full rates; groups without parameters are left out."""
    groups = [_with_rate(group, config) for group in task.parameter_groups()]
    return [group for group in groups if group["params"]]


def freeze_the_rest(module: nn.Module, groups: Sequence[Group]) -> None:
    """Let the parameters in the groups take gradients, and no others of the module.

    Raises:
        ConfigError: a group holds a parameter that is not in the module, or they are empty.
    """
    trained = {id(parameter) for group in groups for parameter in group["params"]}
    if not trained:
        raise ConfigError("the task has no parameters to train")
    for parameter in module.parameters():
        parameter.requires_grad_(id(parameter) in trained)
        trained.discard(id(parameter))
    if trained:
        raise ConfigError(
            f"{len(trained)} parameters of the task's groups are not in its module, so checkpoints "
            "would lack them"
        )


def make_optimiser(groups: Sequence[Group], config: OptimiserConfig) -> torch.optim.Optimizer:
    """Return the optimiser of the groups; ``set_rates`` is to be called before each step."""
    decay = config.weight_decay
    if config.kind == "sgd":
        return torch.optim.SGD(list(groups), momentum=config.momentum, weight_decay=decay)
    options: dict[str, Any] = {"betas": config.betas, "eps": config.eps, "weight_decay": decay}
    if config.kind == "radam":
        return torch.optim.RAdam(list(groups), decoupled_weight_decay=True, **options)
    if config.kind == "adamw":
        return torch.optim.AdamW(list(groups), **options)
    return torch.optim.Adam(list(groups), **options)


def _with_rate(group: Mapping[str, Any], config: OptimiserConfig) -> Group:
    rate = group.get("lr", config.rate) * config.rate_scale
    return {**group, "params": list(group["params"]), "lr": rate, _FULL_RATE: rate}


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Give every group its full rate times ``factor``."""
    for group in optimiser.param_groups:
        group["lr"] = group[_FULL_RATE] * factor


def rate_factor(
    config: ScheduleConfig, step: int, *, steps_per_epoch: int, total_steps: int
) -> float:
    """Return what the rates are multiplied by in a step, counted from 0."""
    warm_up = min(1.0, (step + 1) / (config.warm_up + 1))
    epoch = step // steps_per_epoch
    if config.kind == "milestones":
        return warm_up * config.factor ** sum(epoch >= milestone for milestone in config.milestones)
    if config.kind == "exponential":
        return warm_up * config.factor**epoch
    if config.kind == "cosine":
        wave = (1 + cos(pi * step / total_steps)) / 2
        return warm_up * (config.final + (1 - config.final) * wave)
    return warm_up


def clip_gradients(
    parameters: Sequence[Tensor], *, norm: float | None, value: float | None
) -> Tensor:
    """Limit gradients in place, single values first; returns their norm before ``norm`` acts.

    Gradients that are not finite are told as such, whatever becomes of them.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = nn.utils.get_total_norm(gradients)
    if value is not None:
        nn.utils.clip_grad_value_(parameters, value)
        total = torch.where(total.isfinite(), nn.utils.get_total_norm(gradients), total)
    if norm is not None:
        nn.utils.clip_grads_with_norm_(parameters, norm, total)
    return total
