"""LWL networks with the oracle's parameters, built once per process."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.presets import boxinit, ytvos
from maskcast.methods.lwl.published import rename_from_published
from oracle.plumbing import oracle_weights


def imagenet() -> LWLConfig:
    """The mask network over a trunk in torchvision's layout."""
    config = ytvos()
    return replace(config, network=replace(config.network, trunk_layout="imagenet"))


_KINDS = {
    "mask": ("manifest.json", ytvos),
    "boxinit": ("manifest_boxinit.json", boxinit),
    "imagenet": ("manifest_imagenet.json", imagenet),
}


def oracle_tensors(kind: str) -> dict[str, Tensor]:
    """The oracle's parameters under our names."""
    manifest, config = _KINDS[kind]
    return rename_from_published(config().network, oracle_weights("lwl", manifest))


@cache
def oracle_network(kind: str) -> LWLNetwork:
    """The network of one manifest; must not be changed."""
    network = LWLNetwork(_KINDS[kind][1]().network)
    network.load_state_dict(oracle_tensors(kind))
    return network.eval().requires_grad_(False)


def frames_of(rgb: Tensor) -> Tensor:
    """``… × height × width × 3`` in 0..255 as frames, ``… × 3 × height × width`` in 0..1."""
    return (rgb.movedim(-1, -3).float() / 255).contiguous(memory_format=torch.contiguous_format)
