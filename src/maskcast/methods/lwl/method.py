"""What the catalogue knows of LWL."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from maskcast.core.progress import Progress
from maskcast.methods.lwl.config import LWLConfig, tiny
from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.published import PUBLISHED, read_published, write_published
from maskcast.methods.lwl.segmenter import LWLSegmenter
from maskcast.methods.lwl.training.recipes import RECIPES
from maskcast.methods.method import Method, network_with


def build(
    config: LWLConfig,
    tensors: Mapping[str, Tensor] | None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> LWLSegmenter:
    """Return a segmenter with these weights, or with a seeded network.

    Raises:
        WeightsError: the weights do not fit the config.
    """
    return LWLSegmenter(network_of(config, tensors), config, device=device, dtype=dtype)


def network_of(config: LWLConfig, tensors: Mapping[str, Tensor] | None) -> LWLNetwork:
    """Return the network with these weights, widened to float32, or seeded.

    Raises:
        WeightsError: the weights do not fit the config.
    """
    return network_with(tensors, lambda: LWLNetwork(config.network), method="LWL")


METHOD = Method(
    title="LWL: learning what to learn (ECCV 2020)",
    config=LWLConfig,
    build=build,
    tiny=tiny,
    takes_boxes=lambda config: config.network.box_encoder,
    default_weights="lwl-small",
    recipes=RECIPES,
    published=PUBLISHED,
    read_published=read_published,
    write_published=write_published,
)
