"""The protocols between a method, which provides a task, and the training loop.

A method offers recipes. A recipe is a frozen config, which has a ``LoopConfig`` in its field
``loop``, and a function that builds a task from it. The task provides the network, its loss and its
data. The loop (``maskcast.training``) handles epochs, learning rates, processes, precision,
checkpoints and logs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    Protocol,
    TypeAlias,
    TypeVar,
    runtime_checkable,
)

from maskcast.core.config import require_range
from maskcast.core.errors import ConfigError

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from torch import Tensor, nn

Precision: TypeAlias = Literal["32", "bf16", "fp16"]
MOST_WORKERS = 256
"""Maximum number of data-loading workers per process; each one takes about a gigabyte."""


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """Settings of the optimiser. Groups of the task may override rate and weight_decay."""

    kind: Literal["adam", "adamw", "radam", "sgd"] = "adam"
    """Optimiser; radam uses decoupled weight decay."""
    rate: float = 1e-4
    """Learning rate of groups that do not set their own; at least 0."""
    rate_scale: float = 1.0
    """Factor on the learning rates of all groups; at least 0."""
    weight_decay: float = 0.0
    """Weight decay, at least 0: an L2 penalty with adam and sgd, decoupled with adamw and radam."""
    momentum: float = 0.9
    """Momentum of sgd; at least 0."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the moment estimates of Adam-type optimisers, in [0, 1)."""
    eps: float = 1e-8
    """Term added to the denominator of Adam-type optimisers for numerical stability."""

    def __post_init__(self) -> None:
        names = ("rate", "rate_scale", "weight_decay", "momentum", "eps")
        require_range(self, *names, least=0, below=inf, prefix="loop.optimiser.")
        require_range(self, "betas", least=0, below=1, prefix="loop.optimiser.")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Schedule of the learning rates: a multiplier, 1 at the start, common to all groups."""

    kind: Literal["constant", "milestones", "cosine", "exponential"] = "constant"
    """Schedule: milestones multiplies by ``factor`` at each milestone, exponential after every
    epoch; cosine falls from 1 to ``final`` along half a cosine over the whole run."""
    milestones: tuple[int, ...] = ()
    """Numbers of finished epochs after which the rate is multiplied by ``factor``."""
    factor: float = 0.2
    """Multiplier of the schedules milestones and exponential; greater than 0."""
    final: float = 0.0
    """Last value of the schedule cosine, in [0, 1], relative to the initial rate."""
    warm_up: int = 0
    """Steps at the start in which the multiplier rises linearly from nearly 0; 0 disables it."""

    def __post_init__(self) -> None:
        require_range(self, "factor", above=0, below=inf, prefix="loop.schedule.")
        require_range(self, "final", least=0, most=1, prefix="loop.schedule.")
        require_range(self, "warm_up", least=0, prefix="loop.schedule.")


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Settings of a training run that do not depend on the method."""

    epochs: int = 1
    """Length of the run in epochs, at least 1."""
    iterations: int | None = None
    """Optimiser steps per epoch; None makes an epoch one pass through the task's data set."""
    batch_size: int = 1
    """Items per optimiser step, summed over all processes and parts; a multiple of
    ``accumulate``."""
    accumulate: int = 1
    """Number of parts that a batch is split into and processed one after another, to save memory. A
    loss that is defined over the whole batch is then computed over each part."""
    seed: int = 0
    """Seed of the initial weights, the data, and all other random numbers."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    precision: Precision = "32"
    """Precision of the computation; bf16 and fp16 use autocast and keep the weights in float32."""
    clip_norm: float | None = None
    """Maximum norm of all gradients together, greater than 0; None disables clipping by norm."""
    clip_value: float | None = None
    """Maximum magnitude of each gradient value, greater than 0; None disables clipping by value."""
    average_decay: float | None = None
    """Decay per step of a running average of the weights, in (0, 1), such as 0.999. The average is
    validated and exported instead of the last weights; None disables it."""
    compile: bool = False
    """Whether to use torch.compile, on the parts that the task names or else on its loss."""
    unused_parameters: bool = False
    """With several processes, whether trained parameters may lack a gradient in some steps."""

    workers: int = 2
    """Data-loading workers per training process; 0 loads in the main process."""
    prefetch: int = 2
    """Batches that each worker prepares in advance."""
    broken_limit: int = 100
    """Unreadable items that are replaced by the next item before the run fails."""
    bad_steps_limit: int = 10
    """Consecutive steps with a non-finite loss or gradient after which the run stops."""

    log_every: int = 10
    """Steps between lines in metrics.jsonl."""
    validate_first: bool = False
    """Whether to validate before the first step of a new run too."""
    validate_every: int = 1
    """Epochs between validations; 0 disables them."""
    checkpoint_every: int = 1
    """Epochs between checkpoints."""
    checkpoint_minutes: float = 15.0
    """Minutes after which a checkpoint is also written; 0 writes one after every step."""
    keep_last: int = 2
    """Number of latest checkpoints kept, in addition to the best one."""
    best_metric: str | None = None
    """Validation value that decides which weights are the best; None takes the first value."""
    best_is: Literal["highest", "lowest"] = "highest"
    """Whether high or low values of ``best_metric`` are better."""

    def __post_init__(self) -> None:
        counts = ("epochs", "iterations", "batch_size", "accumulate", "prefetch")
        require_range(self, *counts, least=1, prefix="loop.")
        intervals = ("keep_last", "log_every", "checkpoint_every", "bad_steps_limit")
        require_range(self, *intervals, least=1, prefix="loop.")
        require_range(self, "workers", least=0, most=MOST_WORKERS, prefix="loop.")
        zero_allowed = ("seed", "broken_limit", "validate_every", "checkpoint_minutes")
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

    Item ``index`` depends only on (seed, epoch, index), not on the process or the order of access.
    If the config sets ``iterations``, any index from 0 on may be requested and the length is not
    used. Otherwise the first ``len`` items in order are one epoch; the data set shuffles itself.
    The objects of all epochs are created at the start and sent to worker processes. They should
    hold names and numbers, not pictures, and share what they can.

    Raises (from ``__getitem__``):
        DataError, OSError, RuntimeError: the item cannot be read. The loop logs it, counts it, and
            uses the next index instead.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@runtime_checkable
class NamesItems(Protocol):
    """Items that have names, for messages about them."""

    def identity(self, index: int) -> str:
        """Return the name of an item, such as ``"davis bear object 1 frames 3,7,8"``."""
        ...


@dataclass(frozen=True)
class Export:
    """The content of a weights file, as a finished or stopped run exports it."""

    method: str
    """Name of the method in the catalogue."""
    config: Mapping[str, Any]
    """Settings of the method, in the form of ``core.config.config_to_dict``."""
    tensors: Mapping[str, Tensor]
    """Tensors by name; the loop stores those of floating-point type in half precision."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """Entries of the model card; the loop adds how the model was trained."""


@runtime_checkable
class Task(Protocol):
    """A network to train, its loss and its data. It may also implement the protocols below."""

    @property
    def module(self) -> nn.Module:
        """The network with all parameters and buffers of a checkpoint; the loop sets its device."""
        ...

    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        """Return the groups for the optimiser.

        Each has ``params``, and optionally ``name``, ``lr`` and ``weight_decay``. The loop freezes
        parameters that are in no group.
        """
        ...

    def loss(self, batch: Any) -> Mapping[str, Tensor]:
        """Return scalars: ``"total"`` is minimised, the others are logged.

        The batch comes from ``collate`` and is on the device of the module. Gradients and logged
        values are averaged over processes. A loss that is not a mean over items must gather what it
        needs with ``maskcast.training.gather.gather_for_loss``.
        """
        ...

    def dataset(self, epoch: int) -> Items:
        """Return the data of an epoch, counted from 0."""
        ...

    def collate(self, items: Sequence[Any]) -> Any:
        """Return a batch of the items: tensors in lists, tuples, mappings or dataclasses.

        It runs in the worker processes. Make it a static method to avoid copying the task to them.
        """
        ...

    def export(self) -> Export:
        """Return the current weights of ``module``, in the form that the method's builder reads."""
        ...


@runtime_checkable
class ValidatesInParts(Protocol):
    """A task with a validation, in parts that are distributed over the processes."""

    def validation_parts(self) -> int:
        """Return the number of parts; 0 if there is no validation data."""
        ...

    def validate_part(self, part: int, /) -> Mapping[str, float | Tensor]:
        """Return values by name, with the same names for every part; the loop logs their means.

        ``config.loop.best_metric`` names the value that decides which weights are the best; the
        default is the first one. Parts without values are skipped, and so are parts whose data
        cannot be read (``DataError``, ``OSError``).

        Called without gradients, in evaluation mode, in each process for different parts. It must
        not communicate with other processes (no ``gather_for_loss``).
        """
        ...


@runtime_checkable
class CombinesParts(Protocol):
    """A task whose validation result is not the mean over its parts."""

    def combine_parts(self, parts: Sequence[Mapping[str, float]], /) -> Mapping[str, float]:
        """Return the values to log, from those of at least one part.

        Called in every process with all parts in order; parts whose data could not be read are
        left out.
        """
        ...


@runtime_checkable
class ShowsPictures(Protocol):
    """A task with pictures for the log; called after each validation, in the same way."""

    def pictures(self) -> Mapping[str, UInt8[Tensor, "3 height width"]]:
        """Return RGB pictures by name."""
        ...


@runtime_checkable
class ReportsEpochs(Protocol):
    """A task that logs values other than its losses."""

    def epoch_report(self) -> Mapping[str, float]:
        """Return the values to log at the end of an epoch; may be empty.

        Called without gradients, in evaluation mode, in the first process only, while the others
        wait.
        """
        ...


@runtime_checkable
class CompilesParts(Protocol):
    """A task of which only some parts are compiled."""

    def compiled_parts(self) -> Sequence[nn.Module]:
        """Return the parts of ``module`` to compile, each separately.

        Tasks without this method have their whole ``loss`` compiled.
        """
        ...


@runtime_checkable
class ActsAfterSteps(Protocol):
    """A task that changes its parameters after each step of the optimiser."""

    def after_step(self) -> None:
        """Change the parameters, for instance clamp a learned rate."""
        ...


@runtime_checkable
class TakesWeights(Protocol):
    """A task that loads the weights to start from itself.

    For other tasks, each tensor is copied to the parameter or buffer of ``module`` with the same
    name and shape; a tensor that matches none is an error.
    """

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Load the tensors of a weights file, which have single or half precision."""
        ...


@runtime_checkable
class KnowsItsData(Protocol):
    """A task that can identify the data it is trained on."""

    def data_fingerprint(self) -> str:
        """Return a hash that changes with the data, for instance of names and sizes of files."""
        ...


@runtime_checkable
class RecipeConfig(Protocol):
    """A frozen dataclass that contains the settings of the loop; see ``core.config``."""

    @property
    def loop(self) -> LoopConfig: ...


Config = TypeVar("Config", bound=RecipeConfig)


@dataclass(frozen=True)
class Recipe(Generic[Config]):
    """One way to train a method: ``maskcast train NAME``."""

    title: str
    """One line for ``maskcast train --list``."""
    config: Config
    """Default settings; the command line can change each of them."""
    build: Callable[[Config], Task]
    """Builds the task on the CPU. The loop seeds the global generators from ``loop.seed`` first."""
