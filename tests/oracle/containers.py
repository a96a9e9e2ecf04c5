"""Checkpoint containers: read or refused, and inert in both cases."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from maskcast.core.errors import WeightsError
from oracle.plumbing import OracleFile

Content = TypeVar("Content")

MUST_BE_READ = ("container_zip", "container_legacy")
"""How containers without malice are called; others may be refused."""


def read_inertly(oracle: OracleFile, read: Callable[[Path], Content]) -> Content | None:
    """Read a container; None where it is refused. Nothing in it may touch the environment."""
    before = dict(os.environ)
    content = None
    try:
        content = read(oracle.path)
    except WeightsError:
        if not may_be_refused(oracle):
            raise
    assert dict(os.environ) == before, f"{oracle.name} executed something"
    return content


def may_be_refused(oracle: OracleFile) -> bool:
    """Whether the file's name leaves it open what becomes of it."""
    return "hostile" in oracle.name or not oracle.path.name.startswith(MUST_BE_READ)


def parameters(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the parameters of a training container or a bare state dictionary."""
    entries = checkpoint.get("net", checkpoint)
    return {name: value for name, value in entries.items() if isinstance(value, Tensor)}


def expected_parameters(oracle: OracleFile, names: set[str]) -> OracleFile | None:
    """Return the arrays stored beside a container for exactly these parameters, if there are."""
    stored = sorted(oracle.path.parent.glob("container_*.npz"))
    return next((file for file in map(OracleFile, stored) if set(file.keys()) == names), None)


def compare_parameters(
    oracle: OracleFile, found: Mapping[str, Tensor], expected: OracleFile
) -> None:
    """Compare value by value and type by type."""
    for name, tensor in found.items():
        array = expected.array(name)
        assert str(tensor.dtype) == f"torch.{array.dtype}"
        oracle.compare_values(name, tensor, array, relative=0)
