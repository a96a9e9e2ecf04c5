"""The catalogue entry of A-GAME."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from maskcast.core.progress import Progress
from maskcast.io.weights.names import PublishedFile
from maskcast.methods.agame.config import AgameConfig
from maskcast.methods.agame.presets import tiny
from maskcast.methods.graphs import MethodGraphs
from maskcast.methods.method import Method, network_with

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from maskcast.methods.agame.segmenter import AgameSegmenter


def build(
    config: AgameConfig,
    tensors: Mapping[str, Tensor] | None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
) -> AgameSegmenter:
    """Return a segmenter with these weights, or with seeded random parameters.

    Raises:
        WeightsError: the weights do not fit the config.
    """
    import torch

    from maskcast.methods.agame.network import AgameNetwork
    from maskcast.methods.agame.segmenter import AgameSegmenter

    network = network_with(tensors, lambda: AgameNetwork(config), method="A-GAME")
    return AgameSegmenter(config, network, device=device, dtype=dtype or torch.float32)


def read_published(path: Path) -> tuple[AgameConfig, dict[str, Tensor]]:
    """Read a checkpoint of the authors; see ``agame.published``.

    Raises:
        MissingFileError: the file does not exist.
        WeightsError: the file is not a checkpoint of A-GAME.
    """
    from maskcast.methods.agame import published

    return published.read_published(path)


def write_published(path: Path, config: AgameConfig, tensors: Mapping[str, Tensor]) -> None:
    """Write weights in the format of the authors' code; see ``agame.published``.

    Raises:
        WeightsError: the network does not have the published size, or the tensors do not fit it.
        OutputError: the file cannot be written.
    """
    from maskcast.methods.agame import published

    published.write_published(path, config, tensors)


def graphs(
    config: AgameConfig, tensors: Mapping[str, Tensor] | None, size: tuple[int, int] | None
) -> MethodGraphs:
    """Make the graphs of the network; see ``agame.export``.

    Raises:
        WeightsError: the weights do not fit the config.
        UsageError: the size is missing, or the network is an ablation that cannot be exported.
    """
    from maskcast.methods.agame import export

    return export.graphs(config, tensors, size)


PUBLISHED = {
    "agame": PublishedFile(
        name="agame",
        method="agame",
        file_name="main_runfile_beta_best.pth.tar",
        source="drive:1lVv7n0qOtJEPk3aJ2-KGrOfYrOHVnBbT",
        page="https://github.com/joakimjohnander/agame-vos",
        licence="not stated",
    )
}

METHOD = Method(
    title="A-GAME: a generative appearance model, end to end (CVPR 2019)",
    config=AgameConfig,
    build=build,
    tiny=tiny,
    takes_boxes=lambda config: False,
    default_weights="agame-small",
    published=PUBLISHED,
    read_published=read_published,
    write_published=write_published,
    graphs=graphs,
)
