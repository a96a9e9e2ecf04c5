"""The catalogue entry of e-OSVOS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from maskcast.core.progress import Progress
from maskcast.io.weights.names import PublishedFile
from maskcast.methods.eosvos.config import EOSVOSConfig
from maskcast.methods.eosvos.presets import tiny
from maskcast.methods.method import SEED, Method

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from maskcast.methods.eosvos.segmenter import EOSVOSSegmenter


def build(
    config: EOSVOSConfig,
    tensors: Mapping[str, Tensor] | None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
) -> EOSVOSSegmenter:
    """Build the segmenter from a learned start with the published keys.

    Args:
        config: settings of the method.
        tensors: θ⁰ and λ; None uses seeded random values.
        device: device to compute on.
        dtype: data type of inference; fine-tuning uses float32.
        progress: called after every fine-tuning step.

    Raises:
        WeightsError: the tensors do not fit the config.
    """
    import torch

    from maskcast.core.randomness import generator_of, seeded
    from maskcast.methods.eosvos.inner_loop import learned_start_of
    from maskcast.methods.eosvos.network import ObjectNetwork
    from maskcast.methods.eosvos.object_model import ObjectModel
    from maskcast.methods.eosvos.segmenter import EOSVOSSegmenter

    with torch.inference_mode(False), seeded(SEED):
        learned = learned_start_of(
            ObjectNetwork(config.network),
            level=config.rate_level,
            log_rates=config.log_rates,
            generator=generator_of(SEED),
        )
        if tensors is not None:
            learned.load_tensors({name: value.float() for name, value in tensors.items()})
        device, dtype = torch.device(device), dtype or torch.float32
        model = ObjectModel(config, learned, device=device, dtype=dtype, progress=progress)
    return EOSVOSSegmenter(config, model, device)


def read_published(path: Path) -> tuple[EOSVOSConfig, dict[str, Tensor]]:
    """Read a ``.model`` file of the authors; see ``eosvos.published``.

    Raises:
        MissingFileError: the file does not exist.
        WeightsError: the file is not a checkpoint of e-OSVOS.
    """
    from maskcast.methods.eosvos import published

    return published.read_published(path)


def write_published(path: Path, config: EOSVOSConfig, tensors: Mapping[str, Tensor]) -> None:
    """Write weights in the format of the authors' code.

    Raises:
        OutputError: the file cannot be written.
        WeightsError: the tensors do not fit the config.
    """
    from maskcast.methods.eosvos import published

    published.write_published(path, config, tensors)


ARCHIVE = "https://vision.in.tum.de/webshare/u/meinhard/e-osvos_models.zip"
PAGE = "https://github.com/dvl-tum/e-osvos"
PUBLISHED = {
    file.name: file
    for file in (
        PublishedFile(
            name="eosvos-youtube-davis17",
            method="eosvos",
            file_name="YouTube-VOS+DAVIS-2017_train_dev_random_123/best_val_davis17_meta_iter.model",
            source=ARCHIVE,
            page=PAGE,
            licence="not stated",
        ),
        PublishedFile(
            name="eosvos-davis17",
            method="eosvos",
            file_name="DAVIS-2017_train_seqs/best_val_meta_iter.model",
            source=ARCHIVE,
            page=PAGE,
            licence="not stated",
        ),
    )
}

METHOD = Method(
    title="e-OSVOS: a Mask R-CNN fine-tuned per object from a meta-learned start (NeurIPS 2020)",
    config=EOSVOSConfig,
    build=build,
    tiny=tiny,
    takes_boxes=lambda config: False,
    published=PUBLISHED,
    read_published=read_published,
    write_published=write_published,
)
