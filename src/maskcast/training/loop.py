"""The training loop, which is the same for every method.

step     one step of the optimiser, over one batch (``training.step``)
epoch    ``iterations`` steps, or one pass through the data
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import torch

from maskcast.core.config import config_from_dict
from maskcast.core.errors import DataError, TrainingError, UsageError
from maskcast.core.files import alone_in, remove_unfinished
from maskcast.core.training import (
    LoopConfig,
    Recipe,
    RecipeConfig,
    ReportsEpochs,
    ShowsPictures,
    Task,
)
from maskcast.io.weights.files import sha256_of
from maskcast.io.weights.names import find_weights, read_weights
from maskcast.training import run_folder
from maskcast.training.announcements import Pace, describe_first_validation, describe_start
from maskcast.training.checkpoints import CheckpointFolder
from maskcast.training.items import Batches, items_from, loading, make_loader, make_plan
from maskcast.training.logs import LossWindow, RunLogs
from maskcast.training.optimisation import rate_factor
from maskcast.training.processes import from_all, make_scaler, start_processes
from maskcast.training.random_states import (
    left_alone,
    mixed_seed,
    restore,
    seed_everything,
)
from maskcast.training.run_folder import BEST_WEIGHTS, WEIGHTS
from maskcast.training.step import Stepper
from maskcast.training.stopping import Stopper
from maskcast.training.timing import PhaseTimer, time_table
from maskcast.training.trouble import Trouble
from maskcast.training.validation import is_better, readable_values, validation_values
from maskcast.training.weights import export, load_weights

Config = TypeVar("Config", bound=RecipeConfig)
Ending: TypeAlias = Literal["finished", "interrupted", "time"]
CHECKPOINTS = "checkpoints"

_NO_FIT = (RuntimeError, LookupError, ValueError, TypeError, AttributeError, AssertionError)
"""Exceptions of restoring a checkpoint with other entries, or entries of other types."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """The result of a run, or of one session of it."""

    reason: Ending
    """Why it ended: finished, interrupted by Ctrl-C or SIGTERM, or out of time."""
    step: int
    """Number of finished steps, of ``total_steps``."""
    total_steps: int
    weights: Path
    """Exported weights, in half precision."""
    checkpoint: Path | None
    """The newest checkpoint."""
    best: float | None
    """Best value of the metric that selects the best weights."""
    times: str
    """Table of the time spent in each phase."""


def train(
    name: str,
    recipe: Recipe[Config],
    folder: Path,
    *,
    config: Config | None = None,
    start_from: str | None = None,
    device: str = "auto",
    max_minutes: float | None = None,
    profile: bool = False,
) -> Outcome:
    """Train with a recipe, or resume the run in ``folder``.

    Args:
        name: name of the recipe, for the records.
        recipe: builds the task.
        folder: the run folder; if it already holds this run, the run is resumed.
        config: settings; None uses those of the recipe.
        start_from: name or file of the weights to start from; the schedule begins at its start.
        device: "auto", "cpu", "cuda", or a specific GPU ("cuda:1").
        max_minutes: stop after this many minutes, with a checkpoint and exported weights.
        profile: measure times exactly, which slows the run down slightly.

    Raises:
        RunConflictError: the folder holds a different run, or another process is writing to it.
        TrainingError: too many items are unreadable, or the loss is not finite; the message says
            what to do.
    """
    stopper = Stopper(max_minutes)
    config = recipe.config if config is None else config
    scaler = make_scaler(config.loop, device)
    fabric = start_processes(config.loop, device, scaler)
    source = None if start_from is None else sha256_of(find_weights(start_from))
    request = run_folder.request_for(name, config, source)
    before = CheckpointFolder(folder / CHECKPOINTS).latest()
    if before is not None or (folder / WEIGHTS).is_file():
        run_folder.refuse_another_run(folder, request, config)
    _reject_different_views(None if before is None else before[1]["step"])
    # a round trip, so that settings from Python and from a file are the same
    config = config_from_dict(type(config), request.config)
    seed_everything(mixed_seed(config.loop.seed))
    if before is None:
        logger.info("%s", describe_start(config, start_from))
    task = recipe.build(config)
    if start_from is not None and before is None:
        load_weights(task, start_from)
    with alone_in(folder) if fabric.is_global_zero else nullcontext():
        if fabric.is_global_zero:
            remove_unfinished(folder)
            remove_unfinished(folder / CHECKPOINTS)
            if before is None:
                run_folder.write_request(folder, request)
        watch = PhaseTimer(fabric.device, exact=profile)
        stepper = Stepper(fabric, task, config.loop, scaler=scaler, watch=watch)
        now = run_folder.circumstances(task, device=fabric.device, processes=fabric.world_size)
        card = {"recipe": name, **now, "earlier": run_folder.earlier_sessions(folder, now)}
        fabric.barrier()  # no process may write the card before all have read it
        run = _Run(fabric, stepper, task, config.loop, folder=folder, card=card)
        if before is not None:
            run.resume(*before)
        with stopper:
            return run.go(stopper, watch)


def _reject_different_views(step: int | None) -> None:
    """Raise ``UsageError`` unless all processes found the same checkpoint; it waits for all."""
    if len(set(from_all(step))) > 1:
        raise UsageError(
            "the processes found different checkpoints in the run folder; put it on a file system "
            "that all machines share",
            options=("run",),
        )


class _Run:
    """One process of a training run."""

    def __init__(
        self,
        fabric: Any,
        stepper: Stepper,
        task: Task,
        config: LoopConfig,
        *,
        folder: Path,
        card: dict[str, Any],
    ) -> None:
        self.fabric, self.stepper, self.task, self.config = fabric, stepper, task, config
        self.folder, self.card = folder, card
        self.checkpoints = CheckpointFolder(folder / CHECKPOINTS)
        length = len(task.dataset(0)) if config.iterations is None else None
        self.plan = make_plan(config, length, rank=fabric.global_rank, processes=fabric.world_size)
        self.step = 0
        self.best: float | None = None
        self.trouble = Trouble(config)
        self.window = LossWindow()
        self.seconds_before, self.began = 0.0, time.monotonic()
        self.last_saved = time.monotonic()
        self.random: dict[str, Any] | None = None

    def resume(self, path: Path, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        try:
            self._restore(path, state)
        except _NO_FIT as error:
            raise TrainingError(
                f"the checkpoint {path} does not fit this network; it was written by another "
                f"version of maskcast ({type(error).__name__}: {error})"
            ) from error
        logger.info("resuming after step %d from %s", self.step, path)

    def _restore(self, path: Path, state: dict[str, Any]) -> None:
        self.stepper.load_state(state)
        self.step, self.best, self.seconds_before = state["step"], state["best"], state["seconds"]
        self.window = LossWindow(**state["window"])
        counts = {name: state[name] for name in ("broken", "bad_in_a_row")}
        self.trouble = Trouble(self.config, **counts)
        self.trouble.last_good = path
        processes = len(state["random"])
        if processes == self.fabric.world_size:
            self.random = state["random"][self.fabric.global_rank]
        else:
            logger.warning(
                "the number of processes changed from %d to %d; random draws will differ",
                processes,
                self.fabric.world_size,
            )

    def go(self, stopper: Stopper, watch: PhaseTimer) -> Outcome:
        """Train to the end, or until the stopper requests a stop."""
        items = items_from(self.task, self.config, self.plan, self.step)
        pin = self.fabric.device.type == "cuda"
        item_keys = Batches(self.plan, self.step)
        loader = make_loader(items, self.task.collate, item_keys, self.config, pin=pin)
        first, total = self.step, self.plan.total_steps
        self.stepper.training_mode()
        stop = False
        # the workers of the loader must start before any thread of this process
        with (
            loading(loader) as batches,
            RunLogs(
                self.folder, first_step=first, total_steps=total, active=self.fabric.is_global_zero
            ) as logs,
        ):
            self._set_random_states()
            if self.step == 0 and self.config.validate_first and self.config.validate_every:
                logger.info("%s", describe_first_validation(self.task))
                self._validate(logs, 0)
            pace = Pace()
            while self.step < total and not stop:
                report = self.stepper.step(
                    batches,
                    self._rate_factor(),
                    stop=lambda: stopper.reason is not None,
                    save=self._time_to_save,
                )
                self.step += 1
                self.trouble.look_at(report, step=self.step, items=items, logs=logs)
                if report.taken:
                    self.window.add(report.losses)
                stop = report.stop
                if line := pace.after(self.step - first, left=total - self.step):
                    logger.info("%s", line)
                self._end_of_step(logs, save=stop or report.save)
                if self.step == first + 1:
                    watch.restart()
        reason: Ending = "finished" if self.step == total else stopper.reason or "interrupted"
        if self.step > first or not self._is_exported():
            self._export(WEIGHTS, reason)
            if self.best is None:
                logger.info("no validation took place; %s has the last weights", BEST_WEIGHTS)
                self._export(BEST_WEIGHTS, reason)
        steps = max(0, self.step - first - 1)
        times = time_table(watch.seconds(), steps)
        weights = self.folder / WEIGHTS
        checkpoint = self.trouble.last_good
        return Outcome(reason, self.step, total, weights, checkpoint, self.best, times)

    def _is_exported(self) -> bool:
        """Return whether the exported weights are those of this step; a kill can prevent that."""
        try:
            card = read_weights(self.folder / WEIGHTS).card
            return bool(card["training"]["step"] == self.step)
        except (DataError, LookupError, TypeError):
            return False

    def _set_random_states(self) -> None:
        """Seed or restore the generators; call it last, because loggers and loaders may draw."""
        if self.random is None:
            seed_everything(mixed_seed(self.config.seed, self.fabric.global_rank, 1 + self.step))
        else:
            restore(self.random)

    def _rate_factor(self) -> float:
        return rate_factor(
            self.config.schedule,
            self.step,
            steps_per_epoch=self.plan.steps_per_epoch,
            total_steps=self.plan.total_steps,
        )

    def _time_to_save(self) -> bool:
        """Return whether a checkpoint is due by time; the first process decides for all."""
        waited = time.monotonic() - self.last_saved
        return self.fabric.is_global_zero and waited > 60 * self.config.checkpoint_minutes

    def _end_of_step(self, logs: RunLogs, *, save: bool) -> None:
        config = self.config
        epoch, into_epoch = divmod(self.step, self.plan.steps_per_epoch)
        done = self.step == self.plan.total_steps
        if self.step % config.log_every == 0:
            about = {"epoch": (self.step - 1) // self.plan.steps_per_epoch}
            rate = self.stepper.optimiser.param_groups[0]["lr"]
            numbers = {"rate": rate, "seconds": self._seconds()}
            logs.write("train", self.step, {**about, **self.window.means(), **numbers})
            self.window = LossWindow()
        logs.advance(self.step)
        best = False
        if into_epoch == 0:
            self._report(logs, epoch - 1)
            every = config.validate_every
            if every and (epoch % every == 0 or done):
                best = self._validate(logs, epoch - 1)
            save = save or epoch % config.checkpoint_every == 0
        if save or best or done:
            self._save(best)

    def _report(self, logs: RunLogs, epoch: int) -> None:
        if self.fabric.is_global_zero and isinstance(self.task, ReportsEpochs):
            with self._as_exported():
                values = readable_values(self.task.epoch_report)
            if values:
                logs.write("epoch", self.step, {"epoch": epoch, **values})

    def _validate(self, logs: RunLogs, epoch: int) -> bool:
        """Validate in all processes, and return whether this is the best result so far."""
        with self._as_exported():
            values = validation_values(
                self.task, rank=self.fabric.global_rank, processes=self.fabric.world_size
            )
            if self.fabric.is_global_zero and isinstance(self.task, ShowsPictures):
                logs.show(self.step, self.task.pictures())
        if not values:
            logger.info("no held-out data can be read; skipping validation and best weights")
            return False
        logs.write("validation", self.step, {"epoch": epoch, **values})
        name = self.config.best_metric or next(iter(values))
        if name not in values:
            raise UsageError(
                f"best_metric must be one of {', '.join(values)}, got {name}",
                options=("loop.best_metric",),
            )
        if not is_better(values[name], self.best, highest=self.config.best_is == "highest"):
            return False
        self.best = values[name]
        self._export(BEST_WEIGHTS, "best")
        return True

    def _save(self, best: bool) -> None:
        with left_alone() as random:
            self._save_with(from_all(random), best)

    def _save_with(self, random: list[dict[str, Any]], best: bool) -> None:
        state = {
            **self.stepper.state(),
            "step": self.step,
            "random": random,
            "best": self.best,
            "broken": self.trouble.broken,
            "bad_in_a_row": self.trouble.bad_in_a_row,
            "seconds": self._seconds(),
            "window": vars(self.window),
        }
        path: Path | None = None
        if self.fabric.is_global_zero:
            keep = self.config.keep_last
            path = self.checkpoints.save(state, step=self.step, best=best, keep_last=keep)
            run_folder.write_card(self.folder, {**self.card, **self._progress("running")})
        self.trouble.last_good = self.fabric.broadcast(path)
        self.last_saved = time.monotonic()

    def _export(self, file: str, status: str) -> None:
        if not self.fabric.is_global_zero:
            return
        about = {**self.card, **self._progress(status)}
        with self._as_exported():
            export(self.task, self.folder / file, about)
        if file == WEIGHTS:
            run_folder.write_card(self.folder, about)

    def _progress(self, status: str) -> dict[str, Any]:
        return {
            "status": status,
            "step": self.step,
            "total_steps": self.plan.total_steps,
            "hours": round(self._seconds() / 3600, 4),
            "best": self.best,
            "broken_items": self.trouble.broken,
        }

    @contextmanager
    def _as_exported(self) -> Iterator[None]:
        """Use evaluation mode and averaged weights, without gradients; keep random states."""
        average = self.stepper.average
        averaged = nullcontext() if average is None else average.in_place()
        modes = [(module, module.training) for module in self.task.module.modules()]
        with left_alone(), averaged, torch.no_grad():
            self.task.module.eval()
            try:
                yield
            finally:
                for module, training in modes:
                    module.training = training

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began
