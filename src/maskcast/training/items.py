"""Load items reproducibly, and replace unreadable ones.

One loader serves the whole run, so workers start once and read ahead across epochs. The items of a
batch and their order do not depend on the number of workers or training processes.
"""

from __future__ import annotations

import signal
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, Dataset

from maskcast.core.errors import DataError, TrainingError
from maskcast.core.training import Items, LoopConfig, NamesItems, Task
from maskcast.training.random_states import mixed_seed, seeded_cpu

UNREADABLE = (
    *(DataError, OSError, EOFError, RuntimeError, SyntaxError),  # PIL raises SyntaxError
    *(struct.error, zlib.error),
)


class ItemKey(NamedTuple):
    """The epoch and the index of an item in the data of a run."""

    epoch: int
    item: int


class Fault(NamedTuple):
    """An item that could not be read."""

    key: ItemKey
    identity: str
    reason: str


class LoadedItem(NamedTuple):
    """An item, or a later one if it was unreadable."""

    value: Any
    key: ItemKey
    faults: tuple[Fault, ...]


class LoadedBatch(NamedTuple):
    """A collated batch, and the places of its items."""

    value: Any
    item_keys: tuple[ItemKey, ...]
    faults: tuple[Fault, ...]


class SteadyItems(Dataset[LoadedItem]):
    """The items of some epochs, read with generators that are seeded from (seed, epoch, index)."""

    def __init__(
        self, epochs: Sequence[Items], *, first_epoch: int, seed: int, length: int | None
    ) -> None:
        """Store the data of the epochs from ``first_epoch`` on.

        Args:
            epochs: one data set per epoch.
            first_epoch: number of the first of these epochs.
            seed: seed of the run.
            length: items per epoch, if an epoch is one pass through the data set; else None.
        """
        self._epochs = epochs
        self._first_epoch = first_epoch
        self._seed = seed
        self._length = length

    def identity(self, key: ItemKey) -> str:
        """Return the name of an item in messages."""
        items = self._epochs[key.epoch - self._first_epoch]
        where = f"epoch {key.epoch} item {key.item}"
        if not isinstance(items, NamesItems):
            return where
        try:
            with seeded_cpu(mixed_seed(self._seed, *key)):
                return f"{items.identity(key.item)} ({where})"
        except UNREADABLE:
            return where

    def __getitem__(self, key: ItemKey) -> LoadedItem:
        """Read an item; an unreadable one is replaced by the next readable one.

        Raises:
            TrainingError: 100 consecutive items are unreadable.
        """
        faults: list[Fault] = []
        items = self._epochs[key.epoch - self._first_epoch]
        for _ in range(100):
            try:
                with seeded_cpu(mixed_seed(self._seed, *key)):
                    return LoadedItem(items[key.item], key, tuple(faults))
            except UNREADABLE as error:
                faults.append(Fault(key, self.identity(key), f"{type(error).__name__}: {error}"))
                key = self._next(key)
        raise TrainingError(
            f"cannot read {len(faults)} items in a row",
            details=[f"{fault.identity}: {fault.reason}" for fault in faults],
        )

    def _next(self, key: ItemKey) -> ItemKey:
        following = key.item + 1
        return ItemKey(key.epoch, following % self._length if self._length else following)


@dataclass(frozen=True)
class Plan:
    """The assignment of items to processes in each step, which depends only on the config."""

    steps_per_epoch: int
    total_steps: int
    batch_size: int
    """Items per step, over all processes and parts together."""
    accumulate: int
    """Parts per step."""
    rank: int = 0
    """Rank of this process, from 0."""
    processes: int = 1
    """Number of training processes."""

    def __post_init__(self) -> None:
        if self.batch_size % (self.accumulate * self.processes):
            raise TrainingError(
                f"batch_size must be a multiple of {self.accumulate * self.processes} "
                f"({self.processes} processes × {self.accumulate} parts), got {self.batch_size}",
                options=("loop.batch_size", "loop.accumulate"),
            )

    def parts_of(self, step: int) -> Iterator[list[ItemKey]]:
        """Yield the places of this process's items for each part of a step."""
        share = self.batch_size // (self.accumulate * self.processes)
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        for part in range(self.accumulate):
            first = step_in_epoch * self.batch_size + (part * self.processes + self.rank) * share
            yield [ItemKey(epoch, first + offset) for offset in range(share)]


@dataclass(frozen=True)
class Batches:
    """The keys of every batch from a step to the end of the run; can be iterated repeatedly."""

    plan: Plan
    first_step: int

    def __iter__(self) -> Iterator[list[ItemKey]]:
        for step in range(self.first_step, self.plan.total_steps):
            yield from self.plan.parts_of(step)

    def __len__(self) -> int:
        return (self.plan.total_steps - self.first_step) * self.plan.accumulate


def make_plan(
    config: LoopConfig, items_per_epoch: int | None, *, rank: int, processes: int
) -> Plan:
    """Return the plan of a run.

    Args:
        config: settings of the loop.
        items_per_epoch: length of the data set; not used if the config sets ``iterations``.
        rank: rank of this process.
        processes: number of training processes.

    Raises:
        TrainingError: the batch cannot be divided evenly, or an epoch has less than one batch.
    """
    steps = config.iterations
    if steps is None:
        steps = (items_per_epoch or 0) // config.batch_size
        if steps < 1:
            raise TrainingError(
                f"batch_size must be at most the {items_per_epoch} items of the data set, got "
                f"{config.batch_size}",
                options=("loop.batch_size",),
            )
    return Plan(steps, steps * config.epochs, config.batch_size, config.accumulate, rank, processes)


@dataclass(frozen=True)
class _Collate:
    collate: Callable[[Sequence[Any]], Any]

    def __call__(self, items: Sequence[LoadedItem]) -> LoadedBatch:
        return LoadedBatch(
            self.collate([item.value for item in items]),
            tuple(item.key for item in items),
            tuple(fault for item in items for fault in item.faults),
        )


def items_from(task: Task, config: LoopConfig, plan: Plan, step: int) -> SteadyItems:
    """Return the items of all epochs from the one that contains ``step``."""
    first = min(step // plan.steps_per_epoch, config.epochs - 1)
    epochs = [task.dataset(epoch) for epoch in range(first, config.epochs)]
    length = len(epochs[0]) if config.iterations is None else None
    return SteadyItems(epochs, first_epoch=first, seed=config.seed, length=length)


def make_loader(
    items: SteadyItems,
    collate: Callable[[Sequence[Any]], Any],
    batches: Batches,
    config: LoopConfig,
    *,
    pin: bool,
) -> DataLoader[LoadedItem]:
    """Return a loader of ``LoadedBatch``es, which does not draw from global random generators.

    Args:
        items: items to load.
        collate: collate function of the task.
        batches: places of the items of each batch.
        config: settings of the loop.
        pin: whether to place batches in pinned memory, for faster transfer to a GPU.
    """
    return DataLoader(
        items,
        batch_sampler=batches,
        collate_fn=_Collate(collate),
        num_workers=config.workers,
        prefetch_factor=config.prefetch if config.workers else None,
        worker_init_fn=_leave_signals_to_the_loop,
        generator=torch.Generator(),
        pin_memory=pin,
    )


@contextmanager
def loading(loader: DataLoader[LoadedItem]) -> Iterator[Iterator[LoadedBatch]]:
    """Yield the batches of a loader, and terminate its workers at the end of the block.

    Otherwise a stored traceback would keep the workers alive, and the interpreter would hang at
    exit.

    Raises:
        TrainingError: a worker has died. Torch may report it anywhere in the block.
    """
    batches: Any = iter(loader)
    try:
        yield batches
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            f"a data-loading worker died, usually because memory ran out ({error}); resume with "
            "fewer workers",
            options=("loop.workers",),
        ) from error
    finally:
        if loader.num_workers:
            batches._shutdown_workers()


def _leave_signals_to_the_loop(_: int) -> None:
    """Ignore SIGINT and the first SIGTERM in a worker, because only the loop should handle them.

    Ctrl-C reaches all processes of a terminal, and a scheduler's SIGTERM all processes of a job.
    Torch terminates a worker that hangs with a second SIGTERM.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.signal(signal.SIGTERM, signal.SIG_DFL))
