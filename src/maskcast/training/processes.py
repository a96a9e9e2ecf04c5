"""The training processes: one, or several under torchrun, and what they tell each other."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed
from torch import Tensor

from maskcast.core.device import choose_device
from maskcast.core.errors import UsageError
from maskcast.core.training import LoopConfig

LONGEST_WAIT = timedelta(hours=2)
"""How long processes wait for each other, at most for the longest part of a validation."""

_PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed"}


def start_processes(config: LoopConfig, device: str, scaler: torch.amp.GradScaler | None) -> Any:
    """Return a launched ``lightning.fabric.Fabric``; under torchrun this connects the processes.

    Args:
        config: for the precision.
        device: "auto", "cpu", "cuda", or a certain card ("cuda:1") for a process that is alone.
        scaler: of the gradients, for fp16.

    Raises:
        UsageError: the extra ``train`` is not installed, or there are not enough devices.
    """
    try:
        from lightning.fabric import Fabric  # noqa: PLC0415 - an extra
        from lightning.fabric.plugins import MixedPrecision  # noqa: PLC0415
        from lightning.fabric.strategies.ddp import DDPStrategy  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"training requires the extra 'train' ({error}); pip install 'maskcast[train]'"
        ) from error
    for part in ("fabric", "pytorch"):  # both tell of the precision, on one or the other
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
    chosen = pick_device(device)
    kind, card = chosen.type, chosen.index if chosen.type == "cuda" else None
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    here = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    if kind == "cuda" and here > torch.cuda.device_count():
        raise UsageError(
            f"{here} processes for {torch.cuda.device_count()} GPUs; start one per GPU, or use "
            "the CPU",
            options=("device",),
        )
    if card is not None and processes > 1:
        raise UsageError(
            f"device {device} is a single GPU, but there are {processes} processes; use cuda, and "
            "choose GPUs with the environment variable CUDA_VISIBLE_DEVICES",
            options=("device",),
        )
    strategy = "auto" if processes == 1 else DDPStrategy(
        process_group_backend="nccl" if kind == "cuda" else "gloo",
        timeout=LONGEST_WAIT,
        find_unused_parameters=config.unused_parameters,
    )  # fmt: skip
    options: dict[str, Any] = {"precision": _PRECISIONS.get(config.precision)}
    if config.precision == "fp16":
        options = {"plugins": [MixedPrecision("16-mixed", kind, scaler)]}
    fabric = Fabric(
        accelerator=kind,
        devices=here if card is None else [card],
        num_nodes=processes // here,
        strategy=strategy,
        **options,
    )
    fabric.launch()
    return fabric


def pick_device(device: str) -> torch.device:
    """Return where to train; "auto" takes a GPU where there is one. Raises ``UsageError``."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = choose_device(device)
    if chosen.type == "mps":
        raise UsageError(
            f"training requires device auto, cpu, cuda or cuda:N, got {device}",
            options=("device",),
        )
    return chosen


def make_scaler(config: LoopConfig, device: str) -> torch.amp.GradScaler | None:
    """Return the gradient scaler that fp16 needs; it is part of a checkpoint."""
    return torch.amp.GradScaler(pick_device(device).type) if config.precision == "fp16" else None


def several() -> bool:
    """Say whether there are other processes to talk to."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def summed(values: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    if several():
        torch.distributed.all_reduce(values)
    return values


def from_all(value: Any) -> list[Any]:
    """Return a picklable value of every process, by rank."""
    if not several():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def to_device(batch: Any, device: torch.device) -> Any:
    """Return a batch with its tensors on a device: lists, tuples, mappings, dataclasses of them."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if is_dataclass(batch) and not isinstance(batch, type):
        moved = {
            field.name: to_device(getattr(batch, field.name), device)
            for field in fields(batch)
            if field.init
        }
        return replace(batch, **moved)
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(item, device) for item in batch))
    if isinstance(batch, Mapping):
        return {key: to_device(item, device) for key, item in batch.items()}
    if isinstance(batch, Sequence) and not isinstance(batch, (str, bytes)):
        return type(batch)([to_device(item, device) for item in batch])  # type: ignore[call-arg]
    return batch
