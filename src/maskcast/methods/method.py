"""What one published method tells the catalogue about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor

from maskcast.core.segmenter import VideoSegmenter

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how many parts are done, and of how many."""


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
    takes_boxes: bool
    """False: boxes are turned into masks by ``methods.box_start``."""
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
