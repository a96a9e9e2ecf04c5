"""Seed, capture and restore all random generators of a process."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def mixed_seed(*parts: int) -> int:
    """Return a 63-bit seed that depends on all numbers, by hashing them."""
    digest = hashlib.sha256(",".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and torch on all devices."""
    seed_cpu(seed)
    torch.manual_seed(seed)


def seed_cpu(seed: int) -> None:
    """Seed the generators of Python, NumPy and torch on the CPU, but not on other devices."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - libraries draw from the global generator
    torch.default_generator.manual_seed(seed)


def capture() -> dict[str, Any]:
    """Return the states of all generators, as values that ``torch.load(weights_only)`` accepts."""
    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = _numpy_state()
    return {
        "python": [version, list(internal), gauss],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if _uses_cuda() else [],
    }


def _uses_cuda() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _numpy_state() -> tuple[Any, ...]:
    state = np.random.get_state(legacy=True)  # noqa: NPY002
    assert isinstance(state, tuple)
    return state


def restore(states: dict[str, Any]) -> None:
    """Restore all generators to captured states."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = states["numpy"]
    keys = keys.numpy().astype(np.uint32)
    np.random.set_state((name, keys, position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if states["cuda"] and _uses_cuda():
        torch.cuda.set_rng_state(states["cuda"][0])


@contextmanager
def left_alone() -> Iterator[dict[str, Any]]:
    """Yield the states of all generators, and restore them at the end of the block."""
    states = capture()
    try:
        yield states
    finally:
        restore(states)


@contextmanager
def seeded_cpu(seed: int) -> Iterator[None]:
    """Seed the CPU generators inside the block, and restore them at its end."""
    python, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch_state = torch.get_rng_state()
    seed_cpu(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)
