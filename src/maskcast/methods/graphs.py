"""The computation graphs into which a method is exported, as modules with named inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn

Config_contra = TypeVar("Config_contra", contravariant=True)


@dataclass(frozen=True)
class GraphInput:
    """A float32 input of a graph, and the values that a check of the graph draws for it."""

    shape: tuple[int | str, ...]
    """Lengths of the axes; a name is that of a free axis."""
    low: float = 0.0
    """Smallest value of the check."""
    high: float = 1.0
    """Largest value of the check."""
    is_mask: bool = False
    """Whether all values of the check are ``low`` or ``high``."""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """One graph: a module, and the names of its arguments and results, in order."""

    module: nn.Module
    inputs: Mapping[str, GraphInput]
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class MethodGraphs:
    """All graphs of a network; the rest of the method runs outside them."""

    graphs: Mapping[str, Graph]
    free_axes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Least and greatest length of each free axis, by its name in the shapes of inputs."""


@runtime_checkable
class MakeGraphs(Protocol[Config_contra]):
    """Makes the graphs of one method."""

    def __call__(
        self,
        config: Config_contra,
        tensors: Mapping[str, Tensor] | None,
        size: tuple[int, int] | None,
        /,
    ) -> MethodGraphs:
        """Make the graphs.

        Args:
            config: settings of the method.
            tensors: every parameter and buffer by name; None uses seeded random parameters.
            size: height and width of the video's frames, for methods whose graphs depend on it.

        Raises:
            WeightsError: the weights do not fit the config.
            UsageError: the size is missing or has no effect, or a setting cannot be exported.
        """
        ...
