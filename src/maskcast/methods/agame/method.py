"""What the catalogue knows of A-GAME."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from maskcast.core.errors import WeightsError
from maskcast.methods.agame.config import AgameConfig, tiny
from maskcast.methods.agame.network import AgameNetwork
from maskcast.methods.agame.published import PUBLISHED, read_published, write_published
from maskcast.methods.agame.segmenter import AgameSegmenter
from maskcast.methods.agame.training import RECIPES
from maskcast.methods.method import Method, Progress

SEED = 0
"""Of a network without weights."""


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
    if progress is not None:
        progress("build", 0, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = AgameNetwork(config)
    if tensors is not None:
        try:
            network.load_state_dict({name: t.float() for name, t in tensors.items()})
        except RuntimeError as error:
            raise WeightsError(f"the weights do not fit the settings of A-GAME: {error}") from error
    return AgameSegmenter(config, network, device=device, dtype=dtype)


METHOD = Method(
    title="A-GAME: a generative appearance model, end to end (CVPR 2019)",
    config=AgameConfig,
    build=build,
    tiny=tiny,
    takes_boxes=False,
    default_weights="agame",
    recipes=RECIPES,
    published=PUBLISHED,
    read_published=read_published,
    write_published=write_published,
)
