"""What training asks of a method: a task. The loop (``maskcast.training``) owns everything else.

A method offers recipes. A recipe is a frozen config, which holds a ``LoopConfig`` in its field
``loop``, and a function that builds the task from it. The task knows the network, its loss and its
data; the loop knows epochs, rates, processes, precision, checkpoints and logs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from maskcast.core.config import require_range
from maskcast.core.errors import ConfigError

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from torch import Tensor, nn

Precision = Literal["32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """How gradients become steps. A group of the task may have its own ``lr``, ``weight_decay``."""

    kind: Literal["adam", "adamw", "radam", "sgd"] = "adam"
    """radam: with decoupled weight decay."""
    rate: float = 1e-4
    """Learning rate of the groups that name none."""
    rate_scale: float = 1.0
    """Multiplies the rate of every group, for trying all of them larger or smaller."""
    weight_decay: float = 0.0
    """Part of the gradient with adam and sgd, apart from it with adamw and radam."""
    momentum: float = 0.9
    """Of sgd."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Of the adam family."""
    eps: float = 1e-8
    """Of the adam family: added to the root of the second moment, so that none divides by 0."""

    def __post_init__(self) -> None:
        names = ("rate", "rate_scale", "weight_decay", "momentum", "eps")
        require_range(self, *names, least=0, below=inf, prefix="loop.optimiser.")
        require_range(self, "betas", least=0, below=1, prefix="loop.optimiser.")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How the learning rates of all groups change together; the factor they are multiplied by."""

    kind: Literal["constant", "milestones", "cosine", "exponential"] = "constant"
    """milestones: ``factor`` at each of them; exponential: ``factor`` after each epoch; cosine:
    half a wave from 1 to ``final`` over the whole run."""
    milestones: tuple[int, ...] = ()
    """Epochs that are finished when the rate drops."""
    factor: float = 0.2
    """Of milestones and exponential."""
    final: float = 0.0
    """Of cosine."""
    warm_up: int = 0
    """Steps in which the factor rises linearly from nearly nothing to its value."""

    def __post_init__(self) -> None:
        require_range(self, "factor", above=0, below=inf, prefix="loop.schedule.")
        require_range(self, "final", least=0, most=1, prefix="loop.schedule.")
        require_range(self, "warm_up", least=0, prefix="loop.schedule.")


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Everything about a training run that is not about the method."""

    epochs: int = 1
    """Length of the run. Validations and checkpoints come at the end of an epoch."""
    iterations: int | None = None
    """Optimiser steps of an epoch; none: one pass through the task's data set."""
    batch_size: int = 1
    """Items of one optimiser step, over all processes and parts together."""
    accumulate: int = 1
    """Parts a batch is worked through in, one after another, to save memory. A loss that is defined
    over the batch is then one over each part."""
    seed: int = 0
    """Of the first weights, the data, and whatever else is drawn at random."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    precision: Precision = "32"
    """bf16 and fp16 by autocast; the weights stay in single precision."""
    clip_norm: float | None = None
    """Largest norm of all gradients together; none: as they are."""
    clip_value: float | None = None
    """Largest size of a single gradient value; none: as they are."""
    average_decay: float | None = None
    """Keep a running average of the weights with this decay (0.999, say), and validate and export
    it in place of the last weights; none: no average."""
    compile: bool = False
    """Compile with torch.compile: the parts that the task names, or all of its loss."""
    unused_parameters: bool = False
    """Several processes: allow steps in which some trained parameters get no gradient."""

    workers: int = 2
    """Processes (for each training process) which decode and augment; 0: none beside the loop."""
    prefetch: int = 2
    """Batches each of these works ahead."""
    broken_limit: int = 100
    """Items that may be unreadable, and are replaced by the next one, before the run fails."""
    bad_steps_limit: int = 10
    """Steps in a row without a finite loss and gradient before the run stops."""

    log_every: int = 10
    """Steps between lines in metrics.jsonl."""
    validate_every: int = 1
    """Epochs between validations; 0: never."""
    checkpoint_every: int = 1
    """Epochs between checkpoints."""
    checkpoint_minutes: float = 15.0
    """A checkpoint is also due after so much time; 0: after every step."""
    keep_last: int = 2
    """Checkpoints kept, beside the best one."""
    best_metric: str | None = None
    """Which value of the validation says what is best; none: the first one."""
    best_is: Literal["highest", "lowest"] = "highest"
    """Whether a high value of it is good, or a low one."""

    def __post_init__(self) -> None:
        counts = ("epochs", "iterations", "batch_size", "accumulate", "prefetch")
        require_range(self, *counts, least=1, prefix="loop.")
        intervals = ("keep_last", "log_every", "checkpoint_every", "bad_steps_limit")
        require_range(self, *intervals, least=1, prefix="loop.")
        zero_allowed = ("seed", "workers", "broken_limit", "validate_every", "checkpoint_minutes")
        require_range(self, *zero_allowed, least=0, prefix="loop.")
        if self.batch_size % self.accumulate:
            raise ConfigError(
                "loop.batch_size must be a multiple of loop.accumulate, "
                f"got {self.batch_size} and {self.accumulate}",
                options=("loop.batch_size", "loop.accumulate"),
            )
        require_range(self, "clip_norm", "clip_value", above=0, prefix="loop.")
        require_range(self, "average_decay", above=0, below=1, prefix="loop.")


@runtime_checkable
class Items(Protocol):
    """The data of one epoch: a map-style data set.

    Item ``index`` depends on nothing but (seed, epoch, index), in whichever process and order it
    is asked for. Where the config gives ``iterations``, any index from 0 on is asked for and the
    length is not; otherwise ``len`` items are one epoch, in order (the data set shuffles itself).
    The object travels to worker processes and one is made for every epoch at the start: it holds
    names and numbers, not pictures, and shares what it can.

    Raises (from ``__getitem__``):
        DataError, OSError, RuntimeError: the item cannot be read. The loop logs it, counts it, and
            takes the next index in its place.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@runtime_checkable
class NamesItems(Protocol):
    """Items that can say what they are made of, for messages about them."""

    def identity(self, index: int) -> str:
        """Return, say, ``"davis bear object 1 frames 3,7,8"``."""
        ...


@dataclass(frozen=True)
class Export:
    """What a finished (or stopped) run hands on: the contents of a weights file."""

    method: str
    """Name in the catalogue."""
    config: Mapping[str, Any]
    """Settings of the method, as ``core.config.config_to_dict`` gives them."""
    tensors: Mapping[str, Tensor]
    """By name; the loop stores floating-point ones in half precision."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """About the model; the loop adds how it was trained."""


@runtime_checkable
class Task(Protocol):
    """What is learnt, and from what. May also be any of the protocols below."""

    @property
    def module(self) -> nn.Module:
        """All parameters and buffers that a checkpoint holds; the loop moves it to its device."""
        ...

    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        """Return groups for the optimiser: ``params``, and optionally ``name``, ``lr``,
        ``weight_decay``. Parameters in no group are frozen by the loop."""
        ...

    def loss(self, batch: Any) -> Mapping[str, Tensor]:
        """Return scalars: ``"total"`` is minimised, the others are logged.

        The batch is what ``collate`` returned, on the device of the module. Over several processes
        gradients and logged values are averaged; a loss that is not a mean over items gathers what
        it needs with ``maskcast.training.gather.gather_for_loss``.
        """
        ...

    def dataset(self, epoch: int) -> Items:
        """Return the data of an epoch, counted from 0."""
        ...

    def collate(self, items: Sequence[Any]) -> Any:
        """Make a batch: tensors in lists, tuples, mappings or dataclasses.

        Runs in the workers; a static method spares them a copy of the task.
        """
        ...

    def export(self) -> Export:
        """Return the weights as they are in ``module`` now, for the method's ``build``."""
        ...


@runtime_checkable
class ValidatesInParts(Protocol):
    """A task that can measure how good it is, in parts that the processes share."""

    def validation_parts(self) -> int:
        """Return how many parts there are; 0: there is nothing to validate with."""
        ...

    def validate_part(self, part: int, /) -> Mapping[str, float | Tensor]:
        """Return values of one part, the same names for each; the loop logs their means.

        ``config.loop.best_metric`` names the value that decides which weights are the best, by
        default the first one. A part without values does not count, nor does one whose data cannot
        be read (``DataError``, ``OSError``).

        Called without gradients, in evaluation mode, in each process for parts of its own. It must
        not communicate with other processes (no ``gather_for_loss``).
        """
        ...


@runtime_checkable
class CombinesParts(Protocol):
    """A task that validates in parts and whose result is not simply the mean over them."""

    def combine_parts(self, parts: Sequence[Mapping[str, float]], /) -> Mapping[str, float]:
        """Return what is logged; called in every process with all parts in order, at least one.

        A part whose data could not be read is missing.
        """
        ...


@runtime_checkable
class ShowsPictures(Protocol):
    """A task that can show what it does; asked after each validation, in the same way."""

    def pictures(self) -> Mapping[str, UInt8[Tensor, "3 height width"]]:
        """Return RGB pictures by name."""
        ...


@runtime_checkable
class ReportsEpochs(Protocol):
    """A task that watches something other than its losses."""

    def epoch_report(self) -> Mapping[str, float]:
        """Return values to be logged at the end of each epoch; empty: none.

        Called without gradients, in evaluation mode, in the first process only, while the others
        wait.
        """
        ...


@runtime_checkable
class CompilesParts(Protocol):
    """A task of which some parts are worth compiling, and the rest is not."""

    def compiled_parts(self) -> Sequence[nn.Module]:
        """Return the parts of ``module`` that are compiled, each by itself. Without this all of
        ``loss`` is compiled as one."""
        ...


@runtime_checkable
class ActsAfterSteps(Protocol):
    """A task that does something to its parameters after each step of the optimiser."""

    def after_step(self) -> None:
        """Clamp a learnt rate, for instance."""
        ...


@runtime_checkable
class TakesWeights(Protocol):
    """A task that reads ``--start-from`` weights itself.

    Without this, tensors go to the parameters and buffers of ``module`` of the same name and shape,
    and a tensor without a place is refused.
    """

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over the tensors of a weights file, single or half precision."""
        ...


@runtime_checkable
class KnowsItsData(Protocol):
    """A task that can say exactly which data it is trained on."""

    def data_fingerprint(self) -> str:
        """Return a hash that changes when the data set does: names and sizes of files, say."""
        ...


@runtime_checkable
class RecipeConfig(Protocol):
    """A frozen dataclass (``core.config`` reads and writes it) with the loop's settings in it."""

    @property
    def loop(self) -> LoopConfig: ...


Config = TypeVar("Config", bound=RecipeConfig)


@dataclass(frozen=True)
class Recipe(Generic[Config]):
    """One way to train a method: ``maskcast train NAME``."""

    title: str
    """One line for ``maskcast train --list``."""
    config: Config
    """The defaults, all of which the command line can change."""
    build: Callable[[Config], Task]
    """Makes the task on the CPU. The global generators are seeded from ``loop.seed`` before it."""
