"""Choose where and how to compute, from what a person asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from maskcast.core.errors import UsageError

DeviceName: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
DtypeName: TypeAlias = Literal["float32", "bfloat16", "float16"]


def choose_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is the best one there is, ``cuda:1`` a certain one.

    Raises:
        UsageError: there is no such device here.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind, usable in there.items() if usable), "cpu"))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"there is no device {name!r}; use auto, cpu, cuda or mps") from error
    if not there.get(device.type, device.type == "cpu"):
        raise UsageError(f"this machine has no {name}, or torch cannot use it; try --device cpu")
    return device


def dtype_named(name: DtypeName) -> torch.dtype:
    """Return torch's dtype of a name."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def make_deterministic() -> None:
    """Have torch use only kernels that give the same bits every time, for this whole process."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    torch.use_deterministic_algorithms(True)


def compiled(module: nn.Module) -> Callable[..., Any]:
    """Return the module compiled by torch, which happens when it is called for the first time.

    Calling it raises:
        UsageError: torch cannot compile here.
    """
    from torch._dynamo.exc import BackendCompilerFailed  # noqa: PLC0415 - slow, and rarely needed

    run = torch.compile(module)

    def call(*arguments: Any) -> Any:
        try:
            return run(*arguments)
        except BackendCompilerFailed as error:
            why = str(error.inner_exception).strip().partition("\n")[0]
            raise UsageError(
                f"torch cannot compile the network here ({why}); on a processor it needs a C++ "
                "compiler and Python's headers (g++, python3-dev); or leave speed.compile off"
            ) from error

    return call
