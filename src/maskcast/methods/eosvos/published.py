"""Files of the authors: θ_g in a ``.model`` file, and COCO weights for initialisation."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from maskcast.core.errors import WeightsError
from maskcast.core.files import replacing
from maskcast.core.tensors import require_tensors
from maskcast.io.weights.checkpoints import read_foreign_checkpoint, read_state_dict
from maskcast.methods.eosvos.config import EOSVOSConfig, MaskRCNNConfig, RateLevel
from maskcast.methods.eosvos.inner_loop import FIXED_PREFIX, RATE_PREFIX, START_PREFIX, LearnedStart
from maskcast.methods.eosvos.mask_rcnn import with_published_keys
from maskcast.methods.eosvos.network import ObjectNetwork
from maskcast.nn.efficientnet_lite import EfficientNetLiteTrunk, is_published_lite

log = logging.getLogger(__name__)

CONTENT = "meta_optim_state_dict"
FIRST_NORM = f"{START_PREFIX}backbone-body-bn1-weight"


def read_published(path: Path) -> tuple[EOSVOSConfig, dict[str, Tensor]]:
    """Read a ``.model`` file: return its config, and θ_g by published keys.

    The level of the rates and the normalisation follow from the keys. Files for frozen BatchNorm
    lack its statistics, which ``with_coco_statistics`` adds. Nothing in the file is executed.

    Raises:
        WeightsError: it is not a ``.model`` file, or has wrong keys or shapes.
    """
    tree = read_foreign_checkpoint(path)
    content = tree.get(CONTENT)
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"{path.name} is not an e-OSVOS .model file: expected the entry {CONTENT!r}, got "
            f"{', '.join(list(map(str, tree))[:5]) or 'nothing'}"
        )
    foreign = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if foreign:
        raise WeightsError(f"{path.name}: {foreign[0]} is not a tensor")
    tensors = {str(key): value.to(torch.float32) for key, value in content.items()}
    network = MaskRCNNConfig(norm="group" if FIRST_NORM in tensors else "frozen_bn")
    config = EOSVOSConfig(network=network, rate_level=level_of(tensors))
    _check(path.name, config, tensors)
    return config, tensors


def level_of(tensors: Mapping[str, Tensor]) -> RateLevel:
    """Return the level of stored learning rates, from their keys and shapes.

    Raises:
        WeightsError: there are no learning rates.
    """
    if RATE_PREFIX in tensors:
        return "single" if tensors[RATE_PREFIX].numel() == 1 else "tensor"
    for key, value in tensors.items():
        if key.startswith(f"{RATE_PREFIX}_") and value.dim() > 1:
            start = tensors.get(START_PREFIX + key.removeprefix(f"{RATE_PREFIX}_"))
            same = start is not None and start.shape == value.shape
            return "param" if same else "neuron"
    raise WeightsError("the file has no learning rates (log_init_lr…)")


def _check(name: str, config: EOSVOSConfig, tensors: Mapping[str, Tensor]) -> None:
    with torch.device("meta"):
        network = ObjectNetwork(config.network)
        learned = LearnedStart(network.published_parameters(), level=config.rate_level)
    expected = {
        key: value
        for key, value in learned.state_dict().items()
        if not key.startswith(FIXED_PREFIX)
    }
    require_tensors(expected, tensors, f"{name} does not match e-OSVOS")
    for key in expected:
        if not bool(tensors[key].isfinite().all()):
            raise WeightsError(f"{name}: {key} has values that are not finite")
        if key.startswith(RATE_PREFIX) and bool((tensors[key] < 0).any()):
            raise WeightsError(
                f"{name}: {key} has negative learning rates; files with logarithms of the rates "
                "are not supported"
            )


def write_published(
    path: Path, config: EOSVOSConfig, tensors: Mapping[str, Tensor], *, iteration: int = 0
) -> None:
    """Write θ_g in the format of the authors' code, without the fixed statistics.

    Raises:
        OutputError: the file cannot be written.
        WeightsError: the tensors do not fit the config.
    """
    _check(path.name, config, {k: v for k, v in tensors.items() if not k.startswith(FIXED_PREFIX)})
    content = {
        key: value.detach().to("cpu", torch.float32).clone()
        for key, value in tensors.items()
        if not key.startswith(FIXED_PREFIX)
    }
    tree = {CONTENT: content, "vis_win_names": {}, "meta_iter": iteration, "meta_epoch": 0}
    with replacing(path) as temporary:
        torch.save(tree, temporary, _use_new_zipfile_serialization=False)


def take_start_weights(network: ObjectNetwork, path: Path) -> list[str]:
    """Copy all tensors of a file that match the network in name and shape.

    The file has COCO weights of Mask R-CNN, weights of a trunk, or those of another method with a
    trunk of its own, such as ``lwl-small``. Weight and bias of a BatchNorm are copied to a
    GroupNorm; its statistics are dropped. The three last layers differ in shape and keep their
    random initial values.

    Returns:
        the published names of the copied tensors.

    Raises:
        WeightsError: no tensor matches.
    """
    in_file = with_published_keys(read_state_dict(path))
    if not any(name.startswith("backbone.") for name in in_file):
        in_file = {f"backbone.body.{name}": value for name, value in _trunk_of(in_file).items()}
    ours = with_published_keys(network.state_dict())
    taken = [name for name in ours if name in in_file and in_file[name].shape == ours[name].shape]
    if not taken:
        raise WeightsError(f"{path.name} has no tensor in common with this network")
    with torch.no_grad():
        for name in taken:
            ours[name].copy_(in_file[name])
    log.info("loaded %d of %d tensors from %s", len(taken), len(ours), path.name)
    return taken


def _trunk_of(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors of a trunk with our names, from a file with or without other parts."""
    if is_published_lite(tensors):
        return dict(EfficientNetLiteTrunk().from_published(tensors))
    prefix = "trunk."
    ours = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    return ours or tensors


def with_coco_statistics(
    config: EOSVOSConfig, tensors: Mapping[str, Tensor], coco: Path
) -> dict[str, Tensor]:
    """Add weights, biases and statistics of frozen BatchNorm from COCO weights."""
    network = ObjectNetwork(config.network)
    take_start_weights(network, coco)
    fixed = {
        FIXED_PREFIX + name.replace(".", "-"): value
        for name, value in network.fixed_values().items()
    }
    return {**tensors, **fixed}
