"""Learn θ⁰ and λ in the outer loop (paper, section 3.2.2), as a task of the training engine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from maskcast.core.config import config_to_dict
from maskcast.core.randomness import generator_of
from maskcast.core.training import Export
from maskcast.methods.eosvos.inner_loop import (
    FIXED_PREFIX,
    RATE_PREFIX,
    START_PREFIX,
    LearnedStart,
    learned_start_of,
)
from maskcast.methods.eosvos.network import (
    Batch,
    BoxOrder,
    ObjectNetwork,
)
from maskcast.methods.eosvos.published import take_start_weights
from maskcast.methods.eosvos.targets import OBJECT, make_empty_target, make_target
from maskcast.methods.eosvos.training.config import MetaTrainingConfig
from maskcast.methods.eosvos.training.outer_gradient import (
    OuterGradient,
    first_order,
    through_autograd,
)
from maskcast.methods.eosvos.training.precision import refuse_low_precision
from maskcast.methods.eosvos.training.tasks import (
    LabelledFrame,
    MetaTask,
    MetaTaskItems,
    OpenedTasks,
    open_tasks,
)
from maskcast.methods.eosvos.training.validation import fine_tuned_similarity, objects_of

TRUNK_PREFIX = "backbone."
LEAST_LOG_RATE = -33.0


class MetaTraining:
    """The outer optimisation of Eq. (2), with the inner one of Eq. (3).

    The module contains θ_g; the network itself has no state between tasks.
    """

    def __init__(self, config: MetaTrainingConfig) -> None:
        self.config = config
        self._network: ObjectNetwork = ObjectNetwork(config.method.network)
        if config.start_weights is not None:
            take_start_weights(self._network, config.start_weights)
        self.learned: LearnedStart = learned_start_of(
            self._network,
            level=config.method.rate_level,
            log_rates=config.method.log_rates,
            initial_rate=config.initial_rate,
            generator=generator_of(config.loop.seed),
        )
        self._opened: OpenedTasks | None = None

    @property
    def module(self) -> nn.Module:
        return self.learned

    @property
    def opened(self) -> OpenedTasks:
        """The data, opened at first use."""
        if self._opened is None:
            self._opened = open_tasks(self.config.data)
        return self._opened

    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        config, learned = self.config, self.learned
        groups: list[Mapping[str, Any]] = []
        if config.start_rate:
            groups.append(
                {
                    "name": "start",
                    "params": [
                        start
                        for name, start in zip(learned.names, learned.start, strict=True)
                        if config.learn_trunk_start or not name.startswith(TRUNK_PREFIX)
                    ],
                    "lr": config.start_rate,
                    "weight_decay": config.start_decay,
                }
            )
        if config.rate_rate:
            groups.append(
                {
                    "name": "rates",
                    "params": learned.stored_rates,
                    "lr": config.rate_rate,
                    "weight_decay": 0.0,
                }
            )
        return groups

    def dataset(self, epoch: int) -> MetaTaskItems:
        config = self.config
        return MetaTaskItems(
            self.opened.training,
            config.tasks,
            seed=config.loop.seed,
            epoch=epoch,
            inner_steps=config.inner.inner_steps,
        )

    def collate(self, items: Sequence[MetaTask]) -> list[MetaTask]:
        return list(items)

    def loss(self, batch: Sequence[MetaTask]) -> dict[str, Tensor]:
        """Return the mean test loss of the tasks, whose gradient is the meta-gradient of θ_g.

        A task whose loss or gradient is not finite contributes 0 to the mean.
        """
        learned = self.learned
        refuse_low_precision(learned.start[0].device)
        parameters = [*learned.start, *learned.stored_rates]
        gradients = [torch.zeros_like(p) for p in parameters]
        outer, inner_first, inner_last, skipped = 0.0, 0.0, 0.0, 0
        for task in batch:
            result = self._outer_gradient(task)
            gradients_of_task = [*result.start, *result.rates]
            if not (
                math.isfinite(result.loss)
                and all(bool(g.isfinite().all()) for g in gradients_of_task)
            ):
                skipped += 1
                continue
            torch._foreach_add_(gradients, gradients_of_task, alpha=1 / len(batch))
            outer += result.loss / len(batch)
            inner_first += result.inner_losses[0] / len(batch)
            inner_last += result.inner_losses[-1] / len(batch)
        counted = [p for p in parameters if p.requires_grad]
        prescribed = [g for p, g in zip(parameters, gradients, strict=True) if p.requires_grad]
        like = parameters[0]
        total: Tensor = _Prescribed.apply(like.new_tensor(outer), prescribed, *counted)
        return {
            "total": total,
            "inner_first": like.new_tensor(inner_first),
            "inner_last": like.new_tensor(inner_last),
            "skipped": like.new_tensor(float(skipped)),
        }

    def _outer_gradient(self, task: MetaTask) -> OuterGradient:
        network = self._network_on(task.query.frame.device)
        memory = [_prepared(network, view, task.box_order) for view in task.memory]
        query = _prepared(network, task.query, task.box_order)
        way = through_autograd if self.config.inner.second_order else first_order
        with torch.enable_grad():
            return way(self.learned, network, memory, query, self.config.inner, seed=int(task.seed))

    def _network_on(self, device: torch.device) -> ObjectNetwork:
        self._network.to(device).to(memory_format=torch.channels_last)
        return self._network

    def after_step(self) -> None:
        """Clamp λ to its limits."""
        clamp_rates(self.learned, self.config.max_rate)

    def validation_parts(self) -> int:
        """Return the number of objects of the held-out videos."""
        return len(objects_of(self.opened.held_out))

    def validate_part(self, part: int) -> dict[str, float]:
        """Return the mean J of one object after fine-tuning on its first frame."""
        config, learned = self.config, self.learned
        held_out = objects_of(self.opened.held_out)[part]
        return {"J": fine_tuned_similarity(config.method, learned, held_out, config.validation)}

    def export(self) -> Export:
        tensors = self.learned.state_dict()
        return Export(
            "eosvos", config_to_dict(self.config.method), tensors, {"recipe": "meta-training"}
        )

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Load θ⁰, and λ if it is stored at the same level.

        Raises:
            WeightsError: θ⁰ does not fit the network.
        """
        ours = self.learned.state_dict()
        rates = {k: v for k, v in tensors.items() if k.startswith(RATE_PREFIX)}
        same_level = {k: v.shape for k, v in rates.items()} == {
            k: v.shape for k, v in ours.items() if k.startswith(RATE_PREFIX)
        }
        kept = {k: v for k, v in ours.items() if k.startswith((RATE_PREFIX, FIXED_PREFIX))}
        taken = {k: v for k, v in tensors.items() if k.startswith((START_PREFIX, FIXED_PREFIX))}
        if same_level:
            taken |= rates
        self.learned.load_tensors({**kept, **taken})

    def data_fingerprint(self) -> str:
        return self.opened.fingerprint


@torch.no_grad()
def clamp_rates(learned: LearnedStart, max_rate: float | None = None) -> None:
    """Clamp λ to [0, max_rate] in place, after an outer step; logarithms to at least -33."""
    for rates in learned.stored_rates:
        if learned.log_rates:
            ceiling = None if max_rate is None else torch.tensor(max_rate).log().item()
            rates.clamp_(LEAST_LOG_RATE, ceiling)
        else:
            rates.clamp_(0, max_rate)


def _prepared(network: ObjectNetwork, labelled: LabelledFrame, order: BoxOrder) -> Batch:
    """Return a batch of one frame; a label without object means that there is none."""
    frame, label = labelled
    target = make_target(label) if bool((label == OBJECT).any()) else make_empty_target(label)
    return replace(network.prepare([frame], [target]), box_order=order)


class _Prescribed(torch.autograd.Function):
    """A value with a given gradient with respect to some parameters."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor], *_parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *(upstream * gradient for gradient in ctx.gradients))
