"""What the catalogue knows of A-GAME."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from maskcast.core.progress import Progress
from maskcast.methods.agame.config import AgameConfig, tiny
from maskcast.methods.agame.network import AgameNetwork
from maskcast.methods.agame.published import PUBLISHED, read_published, write_published
from maskcast.methods.agame.segmenter import AgameSegmenter
from maskcast.methods.agame.training.recipes import RECIPES
from maskcast.methods.method import Method, network_with


def build(
    config: AgameConfig,
    tensors: Mapping[str, Tensor] | None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> AgameSegmenter:
    """Return a segmenter with these weights, or with a seeded network.

    Raises:
        WeightsError: the weights do not fit the config.
    """
    network = network_with(tensors, lambda: AgameNetwork(config), method="A-GAME")
    return AgameSegmenter(config, network, device=device, dtype=dtype)


METHOD = Method(
    title="A-GAME: a generative appearance model, end to end (CVPR 2019)",
    config=AgameConfig,
    build=build,
    tiny=tiny,
    takes_boxes=lambda config: False,
    default_weights="agame",
    recipes=RECIPES,
    published=PUBLISHED,
    read_published=read_published,
    write_published=write_published,
)
