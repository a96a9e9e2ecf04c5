"""The training loop: everything that is the same for every method.

step        one step of the optimiser, over one batch
part        a batch is worked through in ``accumulate`` parts, in each process its own share
epoch       ``iterations`` steps, or one pass through the data
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from maskcast.core.config import config_from_dict
from maskcast.core.errors import TrainingError, UsageError
from maskcast.core.training import (
    ActsAfterSteps,
    LoopConfig,
    Recipe,
    RecipeConfig,
    SetsModes,
    ShowsPictures,
    Task,
    Validates,
)
from maskcast.io.weights import find_weights, sha256_of
from maskcast.training import run_folder
from maskcast.training.average import WeightsAverage
from maskcast.training.checkpoints import CheckpointFolder
from maskcast.training.items import (
    Batches,
    LoadedBatch,
    SteadyItems,
    items_from,
    make_loader,
    make_plan,
)
from maskcast.training.logs import RunLogs
from maskcast.training.optimisation import (
    clip_gradients,
    freeze_the_rest,
    make_optimiser,
    rate_factor,
    set_rates,
)
from maskcast.training.processes import (
    from_all,
    make_scaler,
    start_processes,
    summed,
    to_device,
)
from maskcast.training.random_states import (
    capture,
    left_alone,
    mixed_seed,
    restore,
    seed_everything,
)
from maskcast.training.stopping import Stopper
from maskcast.training.timing import Stopwatch, time_table
from maskcast.training.weights import export, start_from

if TYPE_CHECKING:
    from lightning.fabric import Fabric

Config = TypeVar("Config", bound=RecipeConfig)
WEIGHTS, BEST_WEIGHTS, CHECKPOINTS = "weights.safetensors", "best.safetensors", "checkpoints"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """How a run, or this part of it, ended."""

    reason: Literal["finished", "interrupted", "time"]
    step: int
    """Steps done, of ``total_steps``."""
    total_steps: int
    weights: Path
    """Exported, in half precision."""
    checkpoint: Path | None
    best: float | None
    """Best value of the metric that chooses."""
    times: str
    """A table of where the time went."""


def train(
    name: str,
    recipe: Recipe[Config],
    folder: Path,
    *,
    config: Config | None = None,
    weights: str | None = None,
    device: str = "auto",
    max_minutes: float | None = None,
    profile: bool = False,
) -> Outcome:
    """Train by a recipe, or go on with the run in ``folder``.

    Args:
        name: of the recipe, for the records.
        recipe: builds the task.
        folder: the run folder; if it holds this run already, the run is resumed.
        config: the recipe's own, if not given.
        weights: name or file of weights to start a fresh schedule from.
        device: "auto", "cpu" or "cuda".
        max_minutes: stop after so much time, with a checkpoint and exported weights.
        profile: measure times exactly, which takes a little time itself.

    Raises:
        RunConflictError: the folder holds another run.
        TrainingError: too many broken items, or no finite loss; the message says what to do.
    """
    config = recipe.config if config is None else config
    scaler = make_scaler(config.loop, device)
    fabric = start_processes(config.loop, device, scaler)
    source = None if weights is None else sha256_of(find_weights(weights))
    request = run_folder.request_for(name, config, source)
    run_folder.refuse_another_run(folder, request)
    fabric.barrier()  # every process has looked before one writes
    # the same settings whether they came from python or from a file
    config = config_from_dict(type(config), request.config)
    seed_everything(mixed_seed(config.loop.seed))
    task = recipe.build(config)
    checkpoints = CheckpointFolder(folder / CHECKPOINTS, keep_last=config.loop.keep_last)
    before = checkpoints.latest()
    if weights is not None and before is None:
        start_from(task, weights)
    if fabric.is_global_zero and before is None:
        run_folder.write_request(folder, request)
    run = _Run(
        fabric,
        task=task,
        config=config.loop,
        folder=folder,
        recipe=name,
        scaler=scaler,
        checkpoints=checkpoints,
        profile=profile,
    )
    if before is not None:
        run.resume(*before)
    with Stopper(max_minutes) as stopper:
        return run.go(stopper)


class _LossModule(nn.Module):
    """The task's loss as the forward pass of its module, as DDP wants it."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.module = task.module
        self._loss = task.loss

    def forward(self, held: _Held) -> dict[str, Tensor]:
        return dict(self._loss(held.batch))


class _Held:
    """Keeps wrappers from looking into a batch: autocast must not touch its boxes and labels."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch


class _Run:
    """One process of a training run."""

    def __init__(
        self,
        fabric: Fabric,
        *,
        task: Task,
        config: LoopConfig,
        folder: Path,
        recipe: str,
        scaler: torch.amp.GradScaler | None,
        checkpoints: CheckpointFolder,
        profile: bool,
    ) -> None:
        self.fabric, self.task, self.config, self.folder = fabric, task, config, folder
        self.checkpoints = checkpoints
        self.scaler = scaler
        freeze_the_rest(task)
        self.optimiser = make_optimiser(task, config.optimiser)
        self.parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        module: nn.Module = _LossModule(task)
        module = torch.compile(module) if config.compile else module  # type: ignore[assignment]
        self.loss, self.stepper = fabric.setup(module, self.optimiser)
        decay = config.average_decay
        self.average = None if decay is None else WeightsAverage(task.module, decay)
        length = len(task.dataset(0)) if config.iterations is None else None
        self.plan = make_plan(config, length, rank=fabric.global_rank, processes=fabric.world_size)
        self.watch = Stopwatch(fabric.device, exact=profile)
        self.card = {
            "recipe": recipe,
            **run_folder.circumstances(task, device=fabric.device, processes=fabric.world_size),
        }
        self.step = 0
        self.seconds_before, self.began = 0.0, time.monotonic()
        self.last_checkpoint: Path | None = None
        self.last_saved = time.monotonic()
        self.best: float | None = None
        self.broken, self.bad_in_a_row = 0, 0
        self.window: dict[str, float] = {}
        self.window_steps = 0
        seed_everything(mixed_seed(config.seed, fabric.global_rank, 1))

    def resume(self, path: Path, state: dict[str, Any]) -> None:
        """Go back to where a checkpoint was written."""
        self.task.module.load_state_dict(state["module"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state(state["average"])
        self.step, self.best, self.broken = state["step"], state["best"], state["broken"]
        self.bad_in_a_row, self.seconds_before = state["bad_in_a_row"], state["seconds"]
        self.window, self.window_steps = state["window"], state["window_steps"]
        if len(state["random"]) == self.fabric.world_size:
            restore(state["random"][self.fabric.global_rank])
        else:
            logger.warning(
                "the run had %d processes, now %d: random numbers drawn by the network differ",
                len(state["random"]),
                self.fabric.world_size,
            )
        self.last_checkpoint = path
        logger.info("resuming from %s", path)

    def go(self, stopper: Stopper) -> Outcome:
        """Train to the end, or until the stopper says so."""
        items = items_from(self.task, self.config, self.plan, self.step)
        loader = make_loader(
            items,
            self.task.collate,
            Batches(self.plan, self.step),
            self.config,
            pin=self.fabric.device.type == "cuda",
        )
        batches = iter(loader)  # starts the workers, before any thread of ours
        total = self.plan.total_steps
        self._training_mode()
        reason: Literal["finished", "interrupted", "time"] = "finished"
        active = self.fabric.is_global_zero
        with RunLogs(
            self.folder, first_step=self.step, total_steps=total, active=active
        ) as self.logs:
            first = self.step
            while self.step < total:
                stop, save = self._step(batches, items, stopper)
                self._end_of_step(stop or save)
                if self.step == first + 1:
                    self.watch.restart()
                if stop and self.step < total:
                    reason = stopper.reason or "interrupted"
                    break
            self._export(WEIGHTS, reason)
        return Outcome(
            reason,
            self.step,
            total,
            self.folder / WEIGHTS,
            self.last_checkpoint,
            self.best,
            time_table(self.watch.seconds(), max(0, self.step - first - 1)),
        )

    def _step(
        self, batches: Iterator[LoadedBatch], items: SteadyItems, stopper: Stopper
    ) -> tuple[bool, bool]:
        """Do one step of the optimiser; returns whether to stop, and whether to save."""
        factor = rate_factor(
            self.config.schedule,
            self.step,
            steps_per_epoch=self.plan.steps_per_epoch,
            total_steps=self.plan.total_steps,
        )
        set_rates(self.optimiser, factor)
        parts = [self._part(next_part, batches) for next_part in range(self.config.accumulate)]
        names = list(parts[0][1])
        losses = torch.stack([_row(names, losses) for _, losses in parts]).mean(0)
        faults = sum(len(batch.faults) for batch, _ in parts)
        bad_loss = (~losses[names.index("total")].isfinite()).float()
        marks = losses.new_tensor([stopper.reason is not None, faults, self._time_to_save()])
        told = summed(torch.cat([losses, bad_loss[None], marks])).tolist()
        *sums, bad_losses, stops, all_faults, saves = told
        self.step += 1
        self._note_faults(parts, int(all_faults))
        norm = math.nan
        with self.watch.phase("optimiser"):
            if not bad_losses:
                norm = self._apply()
            self.stepper.zero_grad()
        values = {
            name: value / self.fabric.world_size for name, value in zip(names, sums, strict=True)
        }
        overflow = self.scaler is not None and not bad_losses  # the scaler deals with these
        if math.isfinite(norm) or overflow:
            self._note_good_step({**values, "gradient_norm": norm})
        else:
            self._note_bad_step(values, items, [batch for batch, _ in parts])
        return bool(stops), bool(saves)

    def _part(
        self, part: int, batches: Iterator[LoadedBatch]
    ) -> tuple[LoadedBatch, dict[str, Tensor]]:
        """Add the gradients of one part of the batch; returns its losses, detached."""
        with self.watch.phase("waiting for data"):
            batch = next(batches)
        with self.watch.phase("copying to the device"):
            value = to_device(batch.value, self.fabric.device)
        last = part == self.config.accumulate - 1
        with self.fabric.no_backward_sync(self.loss, enabled=not last):
            with self.watch.phase("forward"):
                losses = self.loss(_Held(value))
            with self.watch.phase("backward"):
                self.fabric.backward(losses["total"] / self.config.accumulate)
        return batch, {name: loss.detach() for name, loss in losses.items()}

    def _apply(self) -> float:
        """Let the optimiser step, unless gradients are not finite; returns their norm."""
        if self.scaler is not None:
            self.scaler.unscale_(self.optimiser)
        clipped = clip_gradients(
            self.parameters, norm=self.config.clip_norm, value=self.config.clip_value
        )
        norm = float(clipped)
        if self.scaler is None and not math.isfinite(norm):
            return norm
        self.stepper.step()
        if isinstance(self.task, ActsAfterSteps):
            self.task.after_step()
        if self.average is not None:
            self.average.update()
        return norm

    def _note_good_step(self, values: Mapping[str, float]) -> None:
        self.bad_in_a_row = 0
        for name, value in values.items():
            self.window[name] = self.window.get(name, 0.0) + value
        self.window_steps += 1

    def _note_bad_step(
        self, values: Mapping[str, float], items: SteadyItems, batches: list[LoadedBatch]
    ) -> None:
        own = [items.identity(place) for batch in batches for place in batch.places]
        culprits = [name for names in from_all(own) for name in names]
        self.bad_in_a_row += 1
        shown = {name: str(value) for name, value in values.items()}  # JSON has no NaN
        self.logs.write("bad_step", self.step, {"items": culprits, "losses": shown})
        logger.warning(
            "step %d skipped: loss %s or its gradient is not finite; items: %s",
            *(self.step, shown["total"], "; ".join(culprits)),
        )
        if self.bad_in_a_row >= self.config.bad_steps_limit:
            raise TrainingError(
                f"no finite loss and gradient in {self.bad_in_a_row} steps in a row, the last on "
                f"{culprits[0]}; " + self._last_good()
            )

    def _last_good(self) -> str:
        if self.last_checkpoint is None:
            return "there is no checkpoint yet: lower the rates or look at the data"
        return f"the last good checkpoint is {self.last_checkpoint}"

    def _note_faults(
        self, parts: list[tuple[LoadedBatch, dict[str, Tensor]]], all_faults: int
    ) -> None:
        if not all_faults:
            return
        own = [fault for batch, _ in parts for fault in batch.faults]
        faults = [fault for several in from_all(own) for fault in several]
        self.broken += all_faults
        for fault in faults:
            logger.warning("skipped a broken item, %s: %s", fault.identity, fault.reason)
            about = {"item": fault.identity, "reason": fault.reason, "count": self.broken}
            self.logs.write("broken_item", self.step, about)
        if self.broken > self.config.broken_limit:
            raise TrainingError(
                f"{self.broken} items could not be read, more than broken_limit="
                f"{self.config.broken_limit}; the last one: {faults[-1].identity}: "
                f"{faults[-1].reason}. Repair the data set; {self._last_good()}"
            )

    def _time_to_save(self) -> bool:
        """Decided by the first process, for all."""
        waited = time.monotonic() - self.last_saved
        return self.fabric.is_global_zero and waited > 60 * self.config.checkpoint_minutes

    def _end_of_step(self, save: bool) -> None:
        config, plan = self.config, self.plan
        if self.step % config.log_every == 0:
            self._write_window()
        self.logs.advance(self.step)
        epoch, into_epoch = divmod(self.step, plan.steps_per_epoch)
        done = self.step == plan.total_steps
        epoch_ended = into_epoch == 0
        best = False
        every = config.validate_every
        if epoch_ended and every and (epoch % every == 0 or done):
            best = self._validate()
        due = epoch_ended and epoch % config.checkpoint_every == 0
        if due or best or done or save:
            self._save(best)

    def _write_window(self) -> None:
        if self.window_steps:
            values = {name: value / self.window_steps for name, value in self.window.items()}
            about = {"epoch": (self.step - 1) // self.plan.steps_per_epoch}
            rate = self.optimiser.param_groups[0]["lr"]
            numbers = {**values, "rate": rate, "seconds": self._seconds()}
            self.logs.write("train", self.step, {**about, **numbers})
        self.window, self.window_steps = {}, 0

    def _validate(self) -> bool:
        """Let the first process validate; returns whether the weights are the best so far."""
        found: dict[str, float] = {}
        task = self.task
        if self.fabric.is_global_zero and isinstance(task, (Validates, ShowsPictures)):
            with self._as_exported():
                if isinstance(task, Validates):
                    found = {key: float(value) for key, value in task.validate().items()}
                if isinstance(task, ShowsPictures):
                    self.logs.show(self.step, task.pictures())
            self.logs.write("validation", self.step, {"epoch": self._epoch() - 1, **found})
        found = self.fabric.broadcast(found)
        self._training_mode()
        name = self.config.best_metric or next(iter(found), None)
        if name is None or not found:
            return False
        if name not in found:
            raise UsageError(f"the validation gives {', '.join(found)}, not best_metric={name}")
        value = found[name]
        sign = 1 if self.config.best_is == "highest" else -1
        if not math.isfinite(value) or (self.best is not None and sign * (value - self.best) <= 0):
            return False
        self.best = value
        self._export(BEST_WEIGHTS, "best")
        return True

    def _save(self, best: bool) -> None:
        state = {
            "step": self.step,
            "module": self.task.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "average": None if self.average is None else self.average.state(),
            "random": from_all(capture()),
            "best": self.best,
            "broken": self.broken,
            "bad_in_a_row": self.bad_in_a_row,
            "seconds": self._seconds(),
            "window": self.window,
            "window_steps": self.window_steps,
        }
        if self.fabric.is_global_zero:
            self.last_checkpoint = self.checkpoints.save(state, step=self.step, best=best)
            run_folder.write_card(self.folder, {**self.card, **self._progress("running")})
        self.last_checkpoint = self.fabric.broadcast(self.last_checkpoint)
        self.last_saved = time.monotonic()

    def _export(self, file: str, status: str) -> None:
        if not self.fabric.is_global_zero:
            return
        progress = self._progress(status)
        with self._as_exported():
            export(self.task, self.folder / file, {**self.card, **progress})
        if file == WEIGHTS:
            run_folder.write_card(self.folder, {**self.card, **progress})

    def _progress(self, status: str) -> dict[str, Any]:
        return {
            "status": status,
            "step": self.step,
            "total_steps": self.plan.total_steps,
            "hours": round(self._seconds() / 3600, 4),
            "best": self.best,
            "broken_items": self.broken,
        }

    @contextmanager
    def _as_exported(self) -> Iterator[None]:
        """Evaluation mode, averaged weights, no gradients; random numbers are put back."""
        averaged = nullcontext() if self.average is None else self.average.in_place()
        modes = [(module, module.training) for module in self.task.module.modules()]
        with left_alone(), averaged, torch.no_grad():
            self.task.module.eval()
            try:
                yield
            finally:
                for module, training in modes:
                    module.training = training

    def _training_mode(self) -> None:
        self.loss.train()
        if isinstance(self.task, SetsModes):
            self.task.training_mode()

    def _epoch(self) -> int:
        return self.step // self.plan.steps_per_epoch

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began


def _row(names: list[str], losses: Mapping[str, Tensor]) -> Tensor:
    if set(losses) != set(names):
        raise TrainingError(
            f"the loss of every part must have the same names; {', '.join(names)} came before, "
            f"now {', '.join(losses)}"
        )
    return torch.stack([losses[name].float().reshape(()) for name in names])
