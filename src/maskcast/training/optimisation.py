"""Build the optimiser, schedule its learning rates, and clip gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import cos, pi
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from maskcast.core.errors import ConfigError
from maskcast.core.training import OptimiserConfig, ScheduleConfig, Task

_FULL_RATE = "full_rate"


ParameterGroup: TypeAlias = dict[str, Any]
"""Parameters with common settings: ``params``, ``lr``, and further entries from the task."""


def groups_of(task: Task, config: OptimiserConfig) -> list[ParameterGroup]:
    """Return the groups of the task with their initial rates; empty groups are left out."""
    groups = [_with_rate(group, config) for group in task.parameter_groups()]
    return [group for group in groups if group["params"]]


def freeze_the_rest(module: nn.Module, groups: Sequence[ParameterGroup]) -> None:
    """Freeze all parameters of the module that are in no group.

    Raises:
        ConfigError: a group has a parameter that is not in the module, or all groups are empty.
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


def make_optimiser(
    groups: Sequence[ParameterGroup], config: OptimiserConfig
) -> torch.optim.Optimizer:
    """Return the optimiser of the groups; call ``set_rates`` before each step."""
    decay = config.weight_decay
    if config.kind == "sgd":
        return torch.optim.SGD(list(groups), momentum=config.momentum, weight_decay=decay)
    options: dict[str, Any] = {"betas": config.betas, "eps": config.eps, "weight_decay": decay}
    if config.kind == "radam":
        return torch.optim.RAdam(list(groups), decoupled_weight_decay=True, **options)
    if config.kind == "adamw":
        return torch.optim.AdamW(list(groups), **options)
    return torch.optim.Adam(list(groups), **options)


def _with_rate(group: Mapping[str, Any], config: OptimiserConfig) -> ParameterGroup:
    rate = group.get("lr", config.rate) * config.rate_scale
    return {**group, "params": list(group["params"]), "lr": rate, _FULL_RATE: rate}


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rate of every group to its initial rate times ``factor``."""
    for group in optimiser.param_groups:
        group["lr"] = group[_FULL_RATE] * factor


def rate_factor(
    config: ScheduleConfig, step: int, *, steps_per_epoch: int, total_steps: int
) -> float:
    """Return the multiplier of the learning rates in a step, counted from 0."""
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
    """Clip gradients in place, first by value, then by norm.

    Args:
        parameters: parameters with gradients.
        norm: maximum norm of all gradients together; None disables it.
        value: maximum magnitude of each gradient value; None disables it.

    Returns:
        the norm of all gradients before they are clipped by norm; not finite if any gradient was
        not finite.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    total = nn.utils.get_total_norm(gradients)
    if value is not None:
        nn.utils.clip_grad_value_(parameters, value)
        total = torch.where(total.isfinite(), nn.utils.get_total_norm(gradients), total)
    if norm is not None:
        nn.utils.clip_grads_with_norm_(parameters, norm, total)
    return total
