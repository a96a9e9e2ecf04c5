"""What one published method tells the catalogue about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from maskcast.core.errors import WeightsError
from maskcast.core.segmenter import VideoSegmenter

Network = TypeVar("Network", bound=nn.Module)

SEED = 0
"""Of a network without weights."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One published method, as commands and tests see it."""

    title: str
    """One line: what it is and where it was published."""
    config: type[Any]
    """The frozen dataclass of its settings; nested dataclasses are allowed."""
    build: Callable[..., VideoSegmenter[Any]]
    """``build(config, tensors, *, device, dtype, progress) -> segmenter``; without tensors (None)
    the network is seeded: for tests and benchmarks."""
    tiny: Callable[[], Any]
    """The smallest config that still runs every part; for the contract tests."""
    takes_boxes: Callable[[Any], bool]
    """``takes_boxes(config)``: whether the method starts from boxes itself. If not,
    ``methods.box_start`` turns them into masks."""
    default_weights: str | None = None
    """Name of the weights that ``--method`` alone takes."""
    recipes: Mapping[str, Any] = field(default_factory=dict)
    """Training recipes by name (``maskcast.core.training.Recipe``)."""
    published: Mapping[str, Any] = field(default_factory=dict)
    """The authors' files by the name they get here (``maskcast.io.weights.PublishedFile``)."""
    read_published: Callable[[Path], tuple[Any, dict[str, Tensor]]] | None = None
    """Config and tensors of an authors' file, nothing in it executed; raises ``WeightsError``."""
    write_published: Callable[[Path, Any, Mapping[str, Tensor]], None] | None = None
    """``write_published(path, config, tensors)`` writes a file that the authors' code can read."""


def network_with(
    tensors: Mapping[str, Tensor] | None, make: Callable[[], Network], *, method: str
) -> Network:
    """Return the network with these weights, widened to float32, or seeded.

    Args:
        tensors: every parameter and buffer by name; None seeds the network.
        make: makes it, in float32; draws from torch's global generator, which is left as it was.
        method: how messages call it.

    Raises:
        WeightsError: the weights do not fit the network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)  # torch.manual_seed would seed every GPU too
        network = make()
    if tensors is not None:
        try:
            network.load_state_dict(dict(tensors))
        except RuntimeError as error:
            raise WeightsError(
                f"the weights do not fit the settings of {method}: {error}"
            ) from error
    return network
