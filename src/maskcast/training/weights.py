"""Load the weights that a run starts from, and export its weights in half precision."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskcast.core.errors import WeightsError
from maskcast.core.training import TakesWeights, Task
from maskcast.io.weights.files import write_weights
from maskcast.io.weights.names import read_weights

logger = logging.getLogger(__name__)


def load_weights(task: Task, name_or_path: str) -> str:
    """Load weights into a task, and return the SHA-256 of their file.

    Raises:
        MissingFileError, WeightsError: the file is missing or damaged, or does not fit the task.
    """
    weights = read_weights(name_or_path)
    tensors = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in weights.tensors.items()
    }
    if isinstance(task, TakesWeights):
        task.start_from(tensors)
    else:
        _load_by_name(task, tensors, weights.name)
    return weights.sha256


def _load_by_name(task: Task, tensors: Mapping[str, Tensor], source: str) -> None:
    expected = task.module.state_dict()
    unknown = [name for name in tensors if name not in expected]
    if unknown:
        raise WeightsError(
            f"{len(unknown)} tensors of {source} are not part of this network: "
            f"{', '.join(unknown)}",
            options=("start_from",),
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise WeightsError(
                f"{name} has shape {tuple(tensor.shape)} in {source}, expected "
                f"{tuple(expected[name].shape)}"
            )
    missing = task.module.load_state_dict(dict(tensors), strict=False).missing_keys
    if missing:
        logger.warning(
            "%s lacks %d tensors, which keep their initial values: %s",
            source,
            len(missing),
            ", ".join(missing),
        )


def export(task: Task, path: Path, training: Mapping[str, Any]) -> None:
    """Write the current weights of a task; raises ``OutputError``.

    Args:
        task: provides the tensors and the model card.
        path: the ``.safetensors`` file.
        training: how the weights were trained, for the model card.
    """
    made = task.export()
    write_weights(
        path,
        method=made.method,
        config=made.config,
        tensors={name: in_half(tensor) for name, tensor in made.tensors.items()},
        card={**made.card, "training": dict(training)},
    )


def in_half(tensor: Tensor) -> Tensor:
    """Convert a floating-point tensor to half precision, clamping values beyond its range."""
    if not tensor.is_floating_point():
        return tensor
    limit = torch.finfo(torch.float16).max
    return tensor.clamp(-limit, limit).to(torch.float16)
