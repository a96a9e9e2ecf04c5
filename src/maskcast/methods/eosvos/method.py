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
    # here, not above: torchvision takes a second to import, which `maskcast --help` need not wait
    from maskcast.methods.eosvos.segmenter import build_segmenter  # noqa: PLC0415

    return build_segmenter(config, tensors, torch.device(device), dtype, progress)


METHOD = Method(
    title="e-OSVOS: a Mask R-CNN fine-tuned per object from a meta-learned start (NeurIPS 2020)",
    config=EOSVOSConfig,
    build=build,
    tiny=tiny,
    takes_boxes=False,
)
