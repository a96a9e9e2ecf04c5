"""Choose the device and the precision of computations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

import torch

from maskcast.core.device_names import DtypeName
from maskcast.core.errors import UsageError
from maskcast.core.numbers import shortened

MOST_THREADS = 1024
"""Maximum number of CPU threads; starting many more fails inside OpenMP."""


def choose_device(name: str) -> torch.device:
    """Return the device with a name: ``auto`` for the best one, ``cuda:1`` for a specific GPU.

    Raises:
        UsageError: the device is unknown or unavailable.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((kind for kind, usable in available.items() if usable), "cpu"))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"unknown device {name!r}; choose auto, cpu, cuda, cuda:N or mps", options=("device",)
        ) from error
    if not available.get(device.type, device.type == "cpu"):
        raise UsageError(
            f"device {name!r} is not available on this machine or in this build of PyTorch; "
            "choose another one, such as cpu",
            options=("device",),
        )
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= count:
        raise UsageError(
            f"device {name!r} does not exist; the last one is {device.type}:{count - 1}",
            options=("device",),
        )
    return device


def name_of(device: torch.device) -> str:
    """Return the name of a device for people: the product name of a GPU, else the device type."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def dtype_named(name: DtypeName) -> torch.dtype:
    """Return the torch dtype with a name."""
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[name]


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the device supports bfloat16 natively, so that it is faster than float32."""
    if device.type == "cpu":
        is_supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        return is_supported is not None and bool(is_supported())
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def chosen_dtype(dtype: torch.dtype | str) -> torch.dtype:
    """Return a dtype that is given as such or by its name.

    Raises:
        UsageError: networks do not compute in it.
    """
    known = {name: dtype_named(name) for name in get_args(DtypeName)}
    for name, kind in known.items():
        if dtype in (name, kind):
            return kind
    raise UsageError(f"dtype must be {' or '.join(known)}, got {dtype}", options=("dtype",))


def set_threads(count: int | None) -> None:
    """Set the number of CPU threads of this process; None leaves it to torch.

    Raises:
        UsageError: the number is out of range; torch would crash at some later point.
    """
    if count is None:
        return
    if not 1 <= count <= MOST_THREADS:
        raise UsageError(
            f"threads must be in [1, {MOST_THREADS}], got {shortened(count)}", options=("threads",)
        )
    torch.set_num_threads(count)


def make_deterministic() -> None:
    """Let torch use only deterministic kernels in this process, so that runs are bit-identical."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first matrix product
    torch.use_deterministic_algorithms(True)


def make_float32_exact() -> None:
    """Disable TF32 in cuDNN for this process, so that float32 convolutions are exact on CUDA.

    By default, torch lets cuDNN round their inputs to TF32, which keeps 10 of the 23 mantissa bits.
    Published figures would then not be reproduced, and the learner of LWL would not work in single
    precision.
    """
    torch.backends.cudnn.allow_tf32 = False


def compiled(module: Callable[..., Any]) -> Callable[..., Any]:
    """Return a module or function wrapped by ``torch.compile``; the first call compiles it.

    Raises (when called):
        UsageError: torch cannot compile on this machine.
    """
    run = torch.compile(module)

    def call(*arguments: Any) -> Any:
        with compiler_needed():
            return run(*arguments)

    return call


@contextmanager
def compiler_needed() -> Iterator[None]:
    """Turn errors of ``torch.compile`` inside the block into ``UsageError``.

    Raises:
        UsageError: torch cannot compile on this machine.
    """
    from torch._dynamo.exc import (  # noqa: PLC0415 - slow, and rarely needed
        BackendCompilerFailed,
        ShortenTraceback,
    )

    try:
        yield
    except ShortenTraceback as error:  # without Triton it is not a BackendCompilerFailed
        cause = error.inner_exception if isinstance(error, BackendCompilerFailed) else error
        why = str(cause).strip().partition("\n")[0]
        raise UsageError(
            f"torch.compile failed ({why}); it needs a C++ compiler and the Python headers (g++, "
            "python3-dev), and on a GPU Triton and compute capability 7.0 or higher; install "
            "them, or disable speed.compile (loop.compile in training)"
        ) from error


@contextmanager
def without_cached_casts() -> Iterator[None]:
    """Disable the cache of autocast, because weights change in place inside the block.

    Cached casts of the weights would be outdated.
    """
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)
