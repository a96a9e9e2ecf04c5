"""Convert between the authors' checkpoints and our weights by renaming parameters.

Both directions are strict: a missing tensor, an unknown one or a wrong shape is an error. The
classifier of an ImageNet trunk is left out, because it is never used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskcast.core.errors import WeightsError
from maskcast.core.files import replacing
from maskcast.core.tensors import require_tensors
from maskcast.io.weights.checkpoints import read_foreign_checkpoint
from maskcast.methods.lwl.config import LWLConfig, NetworkConfig
from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.presets import boxinit, ytvos

_RENAMED: tuple[tuple[str, str], ...] = (
    (r"^trunk\.", "feature_extractor."),
    (r"^features\.conv\.", "target_model.feature_extractor.0."),
    (r"^learner\.kappa$", "target_model.filter_optimizer.residual_module.filter_reg"),
    (r"^decoder\.(layer\d)\.fusion\.", r"decoder.TSE.\1."),
    (r"^decoder\.(layer\d)\.refine(\d)\.conv1x1\.", r"decoder.RRB\2.\1.conv1x1."),
    (r"^decoder\.(layer\d)\.refine(\d)\.inner\.", r"decoder.RRB\2.\1.bblock."),
    (r"^decoder\.(layer\d)\.attention\.gate\.", r"decoder.CAB.\1.convreluconv."),
    (r"^decoder\.(layer\d)\.project\.", r"decoder.proj.\1.0."),
    (r"^decoder\.upsampler\.", "decoder.project."),
    (r"^label_encoder\.conv\.", "label_encoder.conv_block.0."),
    (r"^label_encoder\.block(\d)\.", r"label_encoder.res\1."),
    (r"^label_encoder\.label\.", "label_encoder.label_pred.0."),
    (r"^label_encoder\.weight\.", "label_encoder.samp_w_pred."),
    (r"^box_encoder\.block1\.", "box_label_encoder.res.0."),
    (r"^box_encoder\.block2\.", "box_label_encoder.res.1."),
    (r"^box_encoder\.label\.", "box_label_encoder.label_pred.0."),
    (r"\.shortcut\.", ".downsample."),
)
_CLASSIFIER = "feature_extractor.fc."
_NET_TYPES = {"LWTLNet": ytvos, "LWTLBoxNet": boxinit}


def published_key(name: str) -> str:
    """Return the authors' name of one of our parameters or buffers."""
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name


def read_published(path: Path) -> tuple[LWLConfig, dict[str, Tensor]]:
    """Read a checkpoint of the authors without executing any of it; see ``from_published``.

    Raises:
        MissingFileError: the file does not exist.
        WeightsError: the file is not a checkpoint of LWL.
    """
    return from_published(read_foreign_checkpoint(path))


def write_published(path: Path, config: LWLConfig, tensors: Mapping[str, Tensor]) -> None:
    """Write weights in the format of the authors' code.

    Raises:
        WeightsError: the network does not have the published size, or the tensors do not fit it.
        OutputError: the file cannot be written.
    """
    checkpoint = to_published(config.network, tensors)
    with replacing(path) as temporary:
        torch.save(checkpoint, temporary)


def from_published(checkpoint: Mapping[str, Any]) -> tuple[LWLConfig, dict[str, Tensor]]:
    """Return settings and parameters of a checkpoint, under our names.

    The settings are chosen by ``net_type``. If the trunk has a classifier, it has the ImageNet
    layout.

    Args:
        checkpoint: the result of ``io.weights.checkpoints.read_foreign_checkpoint``.

    Raises:
        WeightsError: the checkpoint is not one of LWL, or a tensor is missing, unknown or of the
            wrong shape.
    """
    net_type = checkpoint.get("net_type")
    if net_type not in _NET_TYPES:
        raise WeightsError(
            f"the checkpoint has net_type {net_type!r}, expected one of LWL "
            f"({', '.join(_NET_TYPES)}); use lwl_stage2.pth or lwl_boxinit.pth"
        )
    tensors = checkpoint.get("net")
    if not isinstance(tensors, Mapping):
        raise WeightsError("the checkpoint has no dictionary of parameters under 'net'")
    config = _NET_TYPES[net_type]()
    if any(name.startswith(_CLASSIFIER) for name in tensors):
        config = replace(config, network=replace(config.network, trunk_layout="imagenet"))
    return config, rename_from_published(config.network, tensors)


def rename_from_published(
    config: NetworkConfig, tensors: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return the authors' parameters under our names, checked against the network's shapes."""
    expected = _expected(config)
    in_file = {
        name: tensor
        for name, tensor in tensors.items()
        if not (config.trunk_layout == "imagenet" and name.startswith(_CLASSIFIER))
    }
    theirs = {published_key(name): name for name in expected}
    wanted = {their_name: expected[our_name] for their_name, our_name in theirs.items()}
    require_tensors(wanted, in_file, "the checkpoint does not match LWL")
    return {our_name: in_file[their_name] for their_name, our_name in theirs.items()}


def to_published(config: NetworkConfig, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return a checkpoint in the format of the authors' code: ``net`` and ``net_type``.

    A trunk with the ImageNet layout gets a classifier of zeros, which that code requires but never
    evaluates.

    Raises:
        WeightsError: the network does not have the published size, or the tensors do not fit it.
    """
    published = NetworkConfig(trunk_layout=config.trunk_layout, box_encoder=config.box_encoder)
    if config != published:
        raise WeightsError(
            f"cannot export weights for {config.trunk} with {config.feature_channels} feature "
            f"channels; the authors' code has {published.trunk} with {published.feature_channels}"
        )
    expected = _expected(config)
    missing, unknown = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected)
    if missing or unknown:
        raise WeightsError.mismatch(
            "the weights do not match this network", missing=missing, unknown=unknown
        )
    net = {published_key(name): tensors[name].to(expected[name].dtype) for name in expected}
    if config.trunk_layout == "imagenet":
        net[f"{_CLASSIFIER}weight"] = torch.zeros(1000, 2048)
        net[f"{_CLASSIFIER}bias"] = torch.zeros(1000)
    return {"net_type": "LWTLBoxNet" if config.box_encoder else "LWTLNet", "net": net}


def _expected(config: NetworkConfig) -> dict[str, Tensor]:
    with torch.device("meta"):
        return LWLNetwork(config).state_dict()
