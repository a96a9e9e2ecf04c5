"""The interface of a published method for commands and tests.

This module and every ``methods/NAME/method.py`` import no torch, so that names, settings and help
texts are available at once. The functions of a method import torch when they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from maskcast.core.errors import WeightsError
from maskcast.core.progress import Progress
from maskcast.io.weights.names import PublishedFile
from maskcast.methods.graphs import MakeGraphs

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from maskcast.core.segmenter import VideoSegmenter

    Network = TypeVar("Network", bound=nn.Module)

SEED = 0
"""Seed of the random parameters of a network that is built without weights."""

Config = TypeVar("Config")
Config_contra = TypeVar("Config_contra", contravariant=True)
Config_co = TypeVar("Config_co", covariant=True)


@runtime_checkable
class BuildSegmenter(Protocol[Config_contra]):
    """Builds a segmenter of one method."""

    def __call__(
        self,
        config: Config_contra,
        tensors: Mapping[str, Tensor] | None,
        /,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        progress: Progress | None = None,
    ) -> VideoSegmenter[Any]:
        """Build a segmenter.

        Args:
            config: settings of the method.
            tensors: every parameter and buffer by name; None uses seeded random parameters, for
                tests and benchmarks.
            device: device to compute on.
            dtype: data type of the network's computation; None means float32.
            progress: called during long operations, such as fine-tuning.

        Raises:
            WeightsError: the tensors do not fit the config.
        """
        ...


@runtime_checkable
class ReadPublished(Protocol[Config_co]):
    """Reads a checkpoint of the authors without executing any of it."""

    def __call__(self, path: Path, /) -> tuple[Config_co, dict[str, Tensor]]:
        """Return config and tensors.

        Raises:
            MissingFileError: the file does not exist.
            WeightsError: the file is not a checkpoint of this method.
        """
        ...


@runtime_checkable
class WritePublished(Protocol[Config_contra]):
    """Writes weights in the format of the authors' code."""

    def __call__(self, path: Path, config: Config_contra, tensors: Mapping[str, Tensor], /) -> None:
        """Write the file.

        Raises:
            WeightsError: the authors' code does not have this network.
            OutputError: the file cannot be written.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Method(Generic[Config]):
    """One published method, as used by commands and tests."""

    title: str
    """One line with its name, its idea, and where it was published."""
    config: type[Config]
    """Frozen dataclass of its settings, which may contain other dataclasses."""
    build: BuildSegmenter[Config]
    tiny: Callable[[], Config]
    """Returns the smallest config that runs every part, for the contract tests."""
    takes_boxes: Callable[[Config], bool]
    """Returns whether the method with a config can start from boxes. If not,
    ``methods.box_start`` converts them into masks."""
    default_weights: str | None = None
    """Name of the weights that the name of the method selects."""
    shipped_settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Settings of weights in the package beyond those in their file, by name of the weights and of
    the setting."""
    bfloat16_weights: frozenset[str] = frozenset()
    """Names of weights in the package for which the data type ``auto`` may be bfloat16."""
    published: Mapping[str, PublishedFile] = field(default_factory=dict)
    """Files of the authors, by the names of their weights in maskcast."""
    read_published: ReadPublished[Config] | None = None
    write_published: WritePublished[Config] | None = None
    graphs: MakeGraphs[Config] | None = None
    """Makes the graphs of the network for an export; None if the method cannot run without
    PyTorch."""


def network_with(
    tensors: Mapping[str, Tensor] | None, make: Callable[[], Network], *, method: str
) -> Network:
    """Return the network with these weights as float32, or with seeded random parameters.

    Args:
        tensors: every parameter and buffer by name; None uses seeded random parameters.
        make: creates the network in float32. It draws from torch's global generator, whose state is
            restored afterwards.
        method: name of the method in messages.

    Raises:
        WeightsError: the weights do not fit the network.
    """
    from maskcast.core.randomness import WithoutDraws, seeded

    with seeded(SEED), nullcontext() if tensors is None else WithoutDraws():
        network = make()
    if tensors is not None:
        try:
            network.load_state_dict(dict(tensors))
        except RuntimeError as error:
            _, *problems = map(str.strip, str(error).splitlines())
            raise WeightsError(
                f"the weights do not match the settings of {method}", details=problems
            ) from error
    return network
