"""Perform one step of the optimiser over all processes: load a batch, compute loss and gradients.

part    a batch is processed in ``accumulate`` parts; each process has an equal share of each part
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from maskcast.core.device import compiler_needed
from maskcast.core.errors import DeviceMemoryError, TrainingError
from maskcast.core.training import ActsAfterSteps, CompilesParts, LoopConfig, Task
from maskcast.training.average import WeightsAverage
from maskcast.training.items import ItemKey, LoadedBatch
from maskcast.training.optimisation import (
    clip_gradients,
    freeze_the_rest,
    groups_of,
    make_optimiser,
    set_rates,
)
from maskcast.training.processes import summed, to_device
from maskcast.training.timing import PhaseTimer


@dataclass(frozen=True)
class StepReport:
    """The result of one step; it is the same in every process except for ``batches``."""

    losses: dict[str, float]
    """Mean losses over parts and processes, and the norm of the gradient."""
    taken: bool
    """Whether the step succeeded. False means that loss or gradient was not finite and nothing was
    changed. An overflow that only the scale of fp16 caused counts as a success; the scaler lowers
    the scale."""
    batches: list[LoadedBatch]
    """Batches of this process."""
    faults: int
    """Number of unreadable items in all processes."""
    stop: bool
    """Whether any process requests a stop."""
    save: bool
    """Whether any process requests a checkpoint."""

    @property
    def item_keys(self) -> list[ItemKey]:
        """Places of the items of this process."""
        return [key for batch in self.batches for key in batch.item_keys]


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(
            "the device is out of memory; accumulate the batch in more parts, or reduce its size",
            options=("loop.accumulate", "loop.batch_size"),
        ) from error
    except RuntimeError as error:
        if "finished reduction in the prior iteration" not in str(error):
            raise
        raise TrainingError(
            "some trained parameters got no gradient; set unused_parameters to True to allow that "
            "with several processes",
            options=("loop.unused_parameters",),
        ) from error


class Stepper:
    """Performs steps; holds the task, its optimiser, and further state of the training."""

    def __init__(
        self,
        fabric: Any,
        task: Task,
        config: LoopConfig,
        *,
        scaler: torch.amp.GradScaler | None,
        watch: PhaseTimer,
    ) -> None:
        """Prepare a task for training; parameters in none of its groups are frozen.

        Args:
            fabric: a launched ``lightning.fabric.Fabric``.
            task: the task; its module is moved to the device and synchronised between processes.
            config: settings of the loop.
            scaler: gradient scaler of the Fabric, for fp16.
            watch: measures the phases of a step.
        """
        self._fabric, self._task, self._config = fabric, task, config
        self._scaler, self._watch = scaler, watch
        task.module.to(fabric.device)  # first, as torch advises: optimisers keep parameters
        groups = groups_of(task, config.optimiser)
        freeze_the_rest(task.module, groups)
        self.optimiser = make_optimiser(groups, config.optimiser)
        self._parameters = [p for group in groups for p in group["params"]]
        self._loss, self._wrapped_optimiser = fabric.setup(
            _compiled_loss(task) if config.compile else _LossModule(task),
            self.optimiser,
            move_to_device=False,
        )
        decay = config.average_decay
        self.average = None if decay is None else WeightsAverage(task.module, decay)

    def training_mode(self) -> None:
        """Put the module into training mode."""
        self._loss.train()

    @_in_one_sentence()
    def step(
        self,
        batches: Iterator[LoadedBatch],
        rate_factor: float,
        *,
        stop: Callable[[], bool],
        save: Callable[[], bool],
    ) -> StepReport:
        """Load the next batch and perform one step.

        Args:
            batches: batches of this process.
            rate_factor: multiplier of the learning rates.
            stop, save: whether this process requests a stop or a checkpoint; the report combines
                the requests of all processes.

        Raises:
            TrainingError: the loss has no "total", or its names change between parts; or, with
                several processes, parameters got no gradient.
            DeviceMemoryError: the device is out of memory.
        """
        set_rates(self.optimiser, rate_factor)
        statistics = _running_statistics(self._task.module)
        parts = [self._part(part, batches) for part in range(self._config.accumulate)]
        names = list(parts[0][1])
        losses = torch.stack([_row(names, part_losses) for _, part_losses in parts]).mean(0)
        faults = sum(len(batch.faults) for batch, _ in parts)
        bad = (~losses[names.index("total")].isfinite()).float()
        shared = torch.cat([losses, bad[None], losses.new_tensor([stop(), save(), faults])])
        *sums, all_bad, stops, saves, all_faults = summed(shared).tolist()  # waits for the device
        with self._watch.phase("optimiser"):
            norm, taken = (math.nan, False) if all_bad else self._apply()
            self._wrapped_optimiser.zero_grad()
        if not taken:
            for buffer, before in statistics:
                buffer.copy_(before)
        means = [value / self._fabric.world_size for value in sums]
        values = {**dict(zip(names, means, strict=True)), "gradient_norm": norm}
        return StepReport(
            values,
            taken=taken,
            batches=[batch for batch, _ in parts],
            faults=int(all_faults),
            stop=bool(stops),
            save=bool(saves),
        )

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "module": self._task.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
            "average": None if self.average is None else self.average.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Load what ``state`` returned."""
        self._task.module.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state(state["average"])

    def _part(
        self, part: int, batches: Iterator[LoadedBatch]
    ) -> tuple[LoadedBatch, dict[str, Tensor]]:
        """Add the gradients of one part of the batch, and return its detached losses.

        A non-finite loss takes part in the backward pass too, because the other processes wait
        there; ``step`` then drops the gradients of all processes.
        """
        with self._watch.phase("waiting for data"):
            batch = next(batches)
        with self._watch.phase("copying to the device"):
            value = to_device(batch.value, self._fabric.device)
        return batch, self._gradients(value, last=part == self._config.accumulate - 1)

    def _gradients(self, batch: Any, *, last: bool) -> dict[str, Tensor]:
        compiling = compiler_needed() if self._config.compile else nullcontext()
        with compiling, self._fabric.no_backward_sync(self._loss, enabled=not last):
            with self._watch.phase("forward"):
                losses = self._loss(_Held(batch))
            with self._watch.phase("backward"):
                self._fabric.backward(losses["total"] / self._config.accumulate)
        return {name: loss.detach() for name, loss in losses.items()}

    def _apply(self) -> tuple[float, bool]:
        """Clip the gradients, and let the optimiser step unless they are not finite.

        Returns:
            the norm of the gradients, and whether the step counts as taken.
        """
        if self._scaler is not None:
            self._scaler.unscale_(self.optimiser)
        config = self._config
        clipped = clip_gradients(self._parameters, norm=config.clip_norm, value=config.clip_value)
        norm = float(clipped)
        if not math.isfinite(norm):
            return norm, self._scale_down()
        self._wrapped_optimiser.step()
        if isinstance(self._task, ActsAfterSteps):
            self._task.after_step()
        if self.average is not None:
            self.average.update()
        return norm, True

    def _scale_down(self) -> bool:
        """Let the scaler of fp16 reduce its scale, and return whether the scale was the cause."""
        if self._scaler is None:
            return False
        scale = self._scaler.get_scale()
        self._wrapped_optimiser.zero_grad()
        self._wrapped_optimiser.step()  # without gradients; only the scaler reacts to the overflow
        return scale >= 1


class _LossModule(nn.Module):
    """Computes the task's loss in the forward pass of a module, as DDP requires."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.module = task.module
        self._loss = task.loss

    def forward(self, held: _Held) -> dict[str, Tensor]:
        losses = dict(self._loss(held.batch))
        if "total" not in losses:
            raise TrainingError(f'a loss must contain "total", got {list(losses)}')
        return losses


def _compiled_loss(task: Task) -> Any:
    """Compile the parts that the task names in place, so that no parameter changes its name.

    A task that names no parts has its whole loss compiled.
    """
    if not isinstance(task, CompilesParts):
        return torch.compile(_LossModule(task))
    for part in task.compiled_parts():
        part.compile()
    return _LossModule(task)


def _running_statistics(module: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Return the buffers that a forward pass in training mode may change, each with a copy."""
    return [
        (buffer, buffer.clone())
        for part in module.modules()
        if part.training
        for buffer in part.buffers(recurse=False)
    ]


class _Held:
    """Hides a batch from wrappers, so that autocast does not convert its boxes and labels."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch


def _row(names: Sequence[str], losses: Mapping[str, Tensor]) -> Tensor:
    if set(losses) != set(names):
        raise TrainingError(
            f"the loss of every part must have the same names, got {', '.join(names)} and then "
            f"{', '.join(losses)}"
        )
    return torch.stack([losses[name].float().reshape(()) for name in names])
