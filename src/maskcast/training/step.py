"""One step of the optimiser: a batch, its loss, its gradients, over all processes.

part    a batch is worked through in ``accumulate`` parts; of each, every process has its share
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
from maskcast.training.items import LoadedBatch, Place
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
    """What one step came to, the same in every process except ``batches``."""

    losses: dict[str, float]
    """Means over parts and processes, and the norm of the gradient."""
    taken: bool
    """False: loss or gradient was not finite, so that nothing was changed. True also where it was
    only scaled too far for fp16, which is the scaler's to mend."""
    batches: list[LoadedBatch]
    """What this process worked on."""
    faults: int
    """Broken items met, in all processes."""
    stop: bool
    """Some process wants to stop."""
    save: bool
    """Some process wants a checkpoint."""

    @property
    def places(self) -> list[Place]:
        """Where the items of this process came from."""
        return [place for batch in self.batches for place in batch.places]


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
    """The task, its optimiser, and what else changes from step to step."""

    def __init__(
        self,
        fabric: Any,
        task: Task,
        config: LoopConfig,
        *,
        scaler: torch.amp.GradScaler | None,
        watch: PhaseTimer,
    ) -> None:
        """Prepare a task for training: what is in none of its groups is frozen.

        Args:
            fabric: a launched ``lightning.fabric.Fabric``.
            task: its module is moved to the device, and made the same in every process.
            config: of the loop.
            scaler: the gradient scaler that Fabric was given, for fp16.
            watch: told about the phases of a step.
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
        """Take the parts of the next batch and do one step.

        Args:
            batches: of this process.
            rate_factor: what the full rates are multiplied by.
            stop, save: say what this process wants; the report says what any process wants.

        Raises:
            TrainingError: the loss has no "total", or other names than before; of several
                processes, parameters got no gradient.
            DeviceMemoryError: the device has no memory left.
        """
        set_rates(self.optimiser, rate_factor)
        statistics = _running_statistics(self._task.module)
        parts = [self._part(part, batches) for part in range(self._config.accumulate)]
        names = list(parts[0][1])
        losses = torch.stack([_row(names, found) for _, found in parts]).mean(0)
        faults = sum(len(batch.faults) for batch, _ in parts)
        bad = (~losses[names.index("total")].isfinite()).float()
        told = summed(torch.cat([losses, bad[None], losses.new_tensor([stop(), save(), faults])]))
        *sums, all_bad, stops, saves, all_faults = told.tolist()  # the one wait for the device
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
        """Return what a checkpoint keeps."""
        return {
            "module": self._task.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
            "average": None if self.average is None else self.average.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what ``state`` gave."""
        self._task.module.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state(state["average"])

    def _part(
        self, part: int, batches: Iterator[LoadedBatch]
    ) -> tuple[LoadedBatch, dict[str, Tensor]]:
        """Add the gradients of one part of the batch; returns its losses, detached.

        A loss that is not finite goes through the backward pass like any other, because the other
        processes wait there; ``step`` then drops the gradients of all.
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
        """Let the optimiser step, unless gradients are not finite; returns their norm, and whether
        all is well."""
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
        """Let the scaler of fp16 try a smaller scale; returns whether the scale was to blame."""
        if self._scaler is None:
            return False
        scale = self._scaler.get_scale()
        self._wrapped_optimiser.zero_grad()
        self._wrapped_optimiser.step()  # has no gradients to use; the scaler remembers the overflow
        return scale >= 1


class _LossModule(nn.Module):
    """The task's loss as the forward pass of its module, as DDP wants it."""

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
    """Have compiled what the task names, where it stands, so that no parameter changes its name."""
    if not isinstance(task, CompilesParts):
        return torch.compile(_LossModule(task))
    for part in task.compiled_parts():
        part.compile()
    return _LossModule(task)


def _running_statistics(module: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Return the buffers that a forward pass in training mode may write, each with a copy."""
    return [
        (buffer, buffer.clone())
        for part in module.modules()
        if part.training
        for buffer in part.buffers(recurse=False)
    ]


class _Held:
    """Keeps wrappers from looking into a batch: autocast must not touch its boxes and labels."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch


def _row(names: Sequence[str], losses: Mapping[str, Tensor]) -> Tensor:
    if set(losses) != set(names):
        raise TrainingError(
            f"the loss of every part must have the same names, got {', '.join(names)} and then "
            f"{', '.join(losses)}"
        )
    return torch.stack([losses[name].float().reshape(()) for name in names])
