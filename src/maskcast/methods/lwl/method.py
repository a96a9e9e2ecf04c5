"""The catalogue entry of LWL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from maskcast.core.progress import Progress
from maskcast.io.weights.names import PublishedFile
from maskcast.methods.graphs import MethodGraphs
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.presets import tiny
from maskcast.methods.method import Method, network_with

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from maskcast.methods.lwl.network import LWLNetwork
    from maskcast.methods.lwl.segmenter import LWLSegmenter


def build(
    config: LWLConfig,
    tensors: Mapping[str, Tensor] | None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
) -> LWLSegmenter:
    """Return a segmenter with these weights, or with seeded random parameters.

    Raises:
        WeightsError: the weights do not fit the config.
    """
    import torch

    from maskcast.methods.lwl.segmenter import LWLSegmenter

    network = network_of(config, tensors)
    return LWLSegmenter(network, config, device=device, dtype=dtype or torch.float32)


def network_of(config: LWLConfig, tensors: Mapping[str, Tensor] | None) -> LWLNetwork:
    """Return the network with these weights as float32, or with seeded random parameters.

    Raises:
        WeightsError: the weights do not fit the config.
    """
    from maskcast.methods.lwl.network import LWLNetwork

    return network_with(tensors, lambda: LWLNetwork(config.network), method="LWL")


def read_published(path: Path) -> tuple[LWLConfig, dict[str, Tensor]]:
    """Read a checkpoint of the authors; see ``lwl.published``.

    Raises:
        MissingFileError: the file does not exist.
        WeightsError: the file is not a checkpoint of LWL.
    """
    from maskcast.methods.lwl import published

    return published.read_published(path)


def write_published(path: Path, config: LWLConfig, tensors: Mapping[str, Tensor]) -> None:
    """Write weights in the format of the authors' code; see ``lwl.published``.

    Raises:
        WeightsError: the network does not have the published size, or the tensors do not fit it.
        OutputError: the file cannot be written.
    """
    from maskcast.methods.lwl import published

    published.write_published(path, config, tensors)


def graphs(
    config: LWLConfig, tensors: Mapping[str, Tensor] | None, size: tuple[int, int] | None
) -> MethodGraphs:
    """Make the graphs of the network; see ``lwl.export``.

    Raises:
        WeightsError: the weights do not fit the config.
        UsageError: a size is given, or a setting cannot be exported.
    """
    from maskcast.methods.lwl import export

    return export.graphs(config, tensors, size)


PAGE = "https://github.com/visionml/pytracking/blob/master/MODEL_ZOO.md"
LICENCE = "none stated for the weights; they are published with code under GPL-3.0"
PUBLISHED = {
    file.name: file
    for file in (
        PublishedFile(
            name="lwl-ytvos",
            method="lwl",
            file_name="lwl_stage2.pth",
            source="drive:1Xnm4A2BRBliDBKO4EEFHAQfGyfOMsVyY",
            page=PAGE,
            licence=LICENCE,
        ),
        PublishedFile(
            name="lwl-boxinit",
            method="lwl",
            file_name="lwl_boxinit.pth",
            source="drive:1aAsj_N1LAMpmmcb1iOxo2z66tJM6MEuM",
            page=PAGE,
            licence=LICENCE,
        ),
    )
}

METHOD = Method(
    title="LWL: learning what to learn (ECCV 2020)",
    config=LWLConfig,
    build=build,
    tiny=tiny,
    takes_boxes=lambda config: config.network.box_encoder,
    default_weights="lwl-small",
    bfloat16_weights=frozenset({"lwl-small"}),
    published=PUBLISHED,
    read_published=read_published,
    write_published=write_published,
    graphs=graphs,
)
