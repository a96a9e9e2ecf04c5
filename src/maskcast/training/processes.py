"""Start training processes (one, or several under torchrun), and communicate between them."""

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
from maskcast.core.extras import how_to_install
from maskcast.core.training import LoopConfig

LONGEST_WAIT = timedelta(hours=2)
"""Maximum time that processes wait for each other; a part of a validation must not take longer."""

_PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed"}


def start_processes(config: LoopConfig, device: str, scaler: torch.amp.GradScaler | None) -> Any:
    """Return a launched ``lightning.fabric.Fabric``; under torchrun this connects the processes.

    Args:
        config: settings of the loop.
        device: "auto", "cpu", "cuda", or a specific GPU ("cuda:1") for a single process.
        scaler: gradient scaler for fp16.

    Raises:
        UsageError: the extra ``train`` is not installed, or there are too few devices.
    """
    try:
        from lightning.fabric import Fabric  # noqa: PLC0415 - an extra
        from lightning.fabric.plugins import MixedPrecision  # noqa: PLC0415
        from lightning.fabric.strategies.ddp import DDPStrategy  # noqa: PLC0415
    except ImportError as error:
        raise UsageError(
            f"training requires the extra 'train' ({error}): {how_to_install('train')}"
        ) from error
    for part in ("fabric", "pytorch"):  # either may log the precision
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
    chosen = pick_device(device)
    kind, gpu_index = chosen.type, chosen.index if chosen.type == "cuda" else None
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    if kind == "cuda" and local > torch.cuda.device_count():
        raise UsageError(
            f"{local} processes for {torch.cuda.device_count()} GPUs; start one per GPU, or use "
            "the CPU",
            options=("device",),
        )
    if gpu_index is not None and processes > 1:
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
        devices=local if gpu_index is None else [gpu_index],
        num_nodes=processes // local,
        strategy=strategy,
        **options,
    )
    fabric.launch()
    return fabric


def pick_device(device: str) -> torch.device:
    """Return the device to train on; "auto" selects a GPU if there is one, else the CPU.

    Raises:
        UsageError: the device is unavailable, or does not support training.
    """
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
    """Return the gradient scaler for fp16, which is part of checkpoints; else None."""
    return torch.amp.GradScaler(pick_device(device).type) if config.precision == "fp16" else None


def several() -> bool:
    """Return whether there are several training processes."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def summed(values: Tensor) -> Tensor:
    """Sum a tensor over all processes, in place, and return it."""
    if several():
        torch.distributed.all_reduce(values)
    return values


def from_all(value: Any) -> list[Any]:
    """Return the values that all processes pass, in order of rank; they must be picklable."""
    if not several():
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values


def to_device(batch: Any, device: torch.device) -> Any:
    """Move the tensors of a batch to a device, in nested lists, tuples, mappings and dataclasses.

    Returns:
        a new batch; other values are kept.
    """
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
