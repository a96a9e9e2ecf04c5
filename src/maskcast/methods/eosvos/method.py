"""e-OSVOS as the catalogue knows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from maskcast.methods.eosvos.config import EOSVOSConfig, tiny
from maskcast.methods.method import Method, Progress

if TYPE_CHECKING:
    from maskcast.methods.eosvos.segmenter import EOSVOSSegmenter

SEED = 0
"""Of the random network that is built without weights."""


def build(
    config: EOSVOSConfig,
    tensors: Mapping[str, Tensor] | None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> EOSVOSSegmenter:
    """Build the segmenter from a learned start in the published keys.

    Args:
        tensors: θ⁰ and λ; None: a network and rates drawn with a fixed seed.
        dtype: of inference; fine-tuning stays in float32.
        progress: told of fine-tuning steps.

    Raises:
        WeightsError: the tensors do not fit the config.
    """
    from maskcast.methods.eosvos.inner_loop import learned_start_of
    from maskcast.methods.eosvos.network import build_network
    from maskcast.methods.eosvos.object_model import ObjectModel
    from maskcast.methods.eosvos.randomness import generator_of, seeded
    from maskcast.methods.eosvos.segmenter import EOSVOSSegmenter

    device = torch.device(device)
    with seeded(SEED):
        network = build_network(config.network)
        learned = learned_start_of(
            network,
            level=config.rate_level,
            log_rates=config.log_rates,
            generator=generator_of(SEED),
        )
        if tensors is not None:
            learned.load_tensors({name: value.float() for name, value in tensors.items()})
        model = ObjectModel(config, learned, device=device, dtype=dtype, progress=progress)
    return EOSVOSSegmenter(config, model, device)


METHOD = Method(
    title="e-OSVOS: a Mask R-CNN fine-tuned per object from a meta-learned start (NeurIPS 2020)",
    config=EOSVOSConfig,
    build=build,
    tiny=tiny,
    takes_boxes=False,
)
