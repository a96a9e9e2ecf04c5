"""Convert between the authors' checkpoints and our weights, both ways (map: checkpoints).

The names correspond one to one. Variants of the published network (predictor kernel, inputs of
fusion and propagation, learned offsets) are recognised by the shapes of tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskcast.core.errors import WeightsError
from maskcast.core.files import replacing
from maskcast.io.weights.checkpoints import read_foreign_checkpoint
from maskcast.methods.agame.config import (
    COMPONENTS,
    AgameConfig,
    AppearanceConfig,
    FusionConfig,
    PropagationConfig,
)
from maskcast.methods.agame.network import AgameNetwork

NAMES = (
    ("trackseg.backbone.fc.", "trunk.classifier."),
    ("trackseg.backbone.", "trunk.resnet."),
    ("trackseg.appmod.cov_reg", "appearance.raw_floor"),
    ("trackseg.appmod.logprob_trainable_bias", "appearance.learned_offsets"),
    ("trackseg.appmod.conv_in.", "appearance.projection."),
    ("trackseg.dynmod.layers.layer00.conv.", "propagation.compare."),
    ("trackseg.dynmod.layers.layer01.conv", "propagation.pyramid."),
    ("trackseg.dynmod.layers.layer02.conv.", "propagation.gather."),
    ("trackseg.fusmod.layers.layer00.conv.", "fusion.first."),
    ("trackseg.fusmod.layers.layer01.conv.", "fusion.second."),
    ("trackseg.fusmod.predictor.layer00.conv.", "fusion.coarse."),
    ("trackseg.segmod.project_s8.conv.", "decoder.stride8.lateral."),
    ("trackseg.segmod.blend_s8.conv.", "decoder.stride8.blend."),
    ("trackseg.segmod.project_s4.conv.", "decoder.stride4.lateral."),
    ("trackseg.segmod.blend_s4.conv.", "decoder.stride4.blend."),
    ("trackseg.segmod.predictor.conv.", "decoder.fine."),
)
"""Pairs of their prefix and ours; the first matching pair is used."""


def read_published(path: Path) -> tuple[AgameConfig, dict[str, Tensor]]:
    """Read a checkpoint of the authors without executing any of it; see ``from_published``.

    Raises:
        MissingFileError: the file does not exist.
        WeightsError: the file is not a checkpoint of A-GAME.
    """
    return from_published(read_foreign_checkpoint(path))


def write_published(path: Path, config: AgameConfig, tensors: Mapping[str, Tensor]) -> None:
    """Write weights in the format of the authors' code: ``{"net_type": "AGAME", "net": …}``.

    If the trunk has no classifier, which that code requires but never evaluates, it gets zeros.

    Raises:
        WeightsError: the trunk is not the published ResNet-101.
        OutputError: the file cannot be written.
    """
    if config.trunk != "resnet101":
        raise WeightsError(
            f"cannot export weights with the trunk {config.trunk}; the authors' code has resnet101"
        )
    widened = {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}
    net = to_published(widened)
    if not config.trunk_classes:
        net["trackseg.backbone.fc.weight"] = torch.zeros(1000, 2048)
        net["trackseg.backbone.fc.bias"] = torch.zeros(1000)
    with replacing(path) as temporary:
        torch.save({"epoch": 0, "net_type": "AGAME", "net": net}, temporary)


def from_published(checkpoint: Mapping[str, Any]) -> tuple[AgameConfig, dict[str, Tensor]]:
    """Return settings and tensors of a checkpoint, under our names.

    Missing ``num_batches_tracked`` become 0. The unused classifier may be missing.

    Args:
        checkpoint: the result of ``io.weights.checkpoints.read_foreign_checkpoint``: a training
            checkpoint, from which the entry ``net`` is read, or a bare state dict.

    Raises:
        WeightsError: the checkpoint is not one of A-GAME, or an entry is missing, unknown or of the
            wrong shape.
    """
    net_type = checkpoint.get("net_type", "AGAME")
    if net_type != "AGAME":
        raise WeightsError(f"the checkpoint has net_type {net_type!r}, expected AGAME")
    entries = checkpoint.get("net", checkpoint)
    if not isinstance(entries, Mapping):
        raise WeightsError("the checkpoint has no dictionary of parameters under 'net'")
    tensors = {name: tensor for name, tensor in entries.items() if isinstance(tensor, Tensor)}
    in_file = {our_name(name): _our_shape(name, tensor) for name, tensor in tensors.items()}
    config = _config_of(in_file)
    with torch.device("meta"):
        expected = AgameNetwork(config).state_dict()
    for name, tensor in expected.items():
        if name.endswith("num_batches_tracked"):
            in_file.setdefault(name, torch.zeros((), dtype=torch.int64))
        if name not in in_file:
            raise WeightsError(
                f"the entry {published_key(name)} is missing; download the file again"
            )
        if in_file[name].shape != tensor.shape:
            raise WeightsError(
                f"the entry {published_key(name)} has shape {tuple(in_file[name].shape)}, "
                f"expected {tuple(tensor.shape)}; this is not an A-GAME network"
            )
    left = sorted(in_file.keys() - expected.keys())
    if left:
        raise WeightsError(f"the entry {published_key(left[0])} is not part of the network")
    return config, in_file


def to_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return our tensors under the authors' names and in their shapes."""
    return {published_key(name): _their_shape(name, tensor) for name, tensor in tensors.items()}


def our_name(published: str) -> str:
    """Return our name of a published entry.

    Raises:
        WeightsError: the network has no such entry.
    """
    for theirs, ours in NAMES:
        if published.startswith(theirs):
            return ours + published.removeprefix(theirs)
    raise WeightsError(f"the entry {published!r} is not part of an A-GAME network")


def published_key(ours: str) -> str:
    """Return the authors' name of a tensor of ours."""
    for theirs, prefix in NAMES:
        if ours.startswith(prefix):
            return theirs + ours.removeprefix(prefix)
    raise WeightsError(f"the tensor {ours!r} is not part of the authors' network")


def _our_shape(published: str, tensor: Tensor) -> Tensor:
    """Reshape the variance floors, which are published as components × 1 × channels × 1 × 1."""
    if not published.endswith(".cov_reg"):
        return tensor
    if tensor.ndim != 5 or tensor.shape[0] != COMPONENTS:
        raise WeightsError(
            f"the entry {published} has shape {tuple(tensor.shape)}, expected 4×1×C×1×1"
        )
    return tensor.reshape(COMPONENTS, -1)


def _their_shape(ours: str, tensor: Tensor) -> Tensor:
    if ours != "appearance.raw_floor":
        return tensor
    return tensor[:, None, :, None, None]


def _config_of(in_file: Mapping[str, Tensor]) -> AgameConfig:
    """Infer the variant from shapes."""
    config = AgameConfig()

    def shape(name: str) -> torch.Size:
        if name not in in_file or in_file[name].ndim < 2:
            raise WeightsError(f"the entry {published_key(name)} is missing or not a weight")
        return in_file[name].shape

    propagation = PropagationConfig(enabled="propagation.compare.weight" in in_file)
    if propagation.enabled:
        compared = shape("propagation.compare.weight")
        features = shape("trunk.resnet.layer4.2.conv3.weight")[0]
        width, first_frame = compared[0], compared[1] == 2 * features + 4
        propagation = replace(propagation, channels=width, first_frame=first_frame)
    fused = shape("fusion.first.weight")
    seen = fused[1] - propagation.output_channels
    if seen not in (0, 2, COMPONENTS):
        raise WeightsError(
            f"the fusion has {fused[1]} input channels, unlike any published variant"
        )
    appearance = AppearanceConfig(output="none")
    if seen:
        appearance = AppearanceConfig(
            channels=shape("appearance.projection.weight")[0],
            residual=seen == COMPONENTS,
            learned_offsets="appearance.learned_offsets" in in_file,
        )
    return replace(
        config,
        trunk_classes=len(in_file["trunk.classifier.weight"])
        if "trunk.classifier.weight" in in_file
        else 0,
        appearance=appearance,
        propagation=propagation,
        fusion=FusionConfig(
            hidden_channels=fused[0],
            channels=shape("fusion.second.weight")[0],
            coarse_kernel=3 if shape("fusion.coarse.weight")[-1] == 3 else 1,
        ),
        decoder_channels=shape("decoder.fine.weight")[1],
    )
