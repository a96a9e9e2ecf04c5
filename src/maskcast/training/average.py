"""Keep a running average of the weights, which is often better than the last weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightsAverage:
    """Exponential moving average of every floating-point parameter and buffer of a module."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._tensors = {
            name: tensor for name, tensor in module.state_dict().items() if _averages(tensor)
        }  # they share their memory with the tensors of the module
        self._decay = decay
        self._averages = {name: tensor.clone() for name, tensor in self._tensors.items()}
        self._updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the current weights; the first updates have larger weight."""
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        self._updates += 1
        averages, tensors = list(self._averages.values()), list(self._tensors.values())
        for average, tensor in zip(averages, tensors, strict=True):
            average.lerp_(tensor, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Replace the weights of the module by the average inside the block."""
        kept = {name: tensor.clone() for name, tensor in self._tensors.items()}
        _copy(self._averages, self._tensors)
        try:
            yield
        finally:
            _copy(kept, self._tensors)

    def state(self) -> dict[str, object]:
        """Return the state for a checkpoint."""
        return {"updates": self._updates, "averages": self._averages}

    def load_state(self, state: Mapping[str, object]) -> None:
        """Load what ``state`` returned."""
        updates, averages = state["updates"], state["averages"]
        assert isinstance(updates, int) and isinstance(averages, dict)
        self._updates = updates
        _copy(averages, self._averages)


def _averages(tensor: Tensor) -> bool:
    return tensor.is_floating_point()


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])
