"""A tiny network whose losses do not depend on draws, and a synthetic task for it."""

from __future__ import annotations

from dataclasses import replace

import torch

from maskcast.core.randomness import seeded
from maskcast.core.types import Frame, Mask
from maskcast.methods.eosvos.config import EOSVOSConfig, MaskRCNNConfig
from maskcast.methods.eosvos.network import Batch, ObjectNetwork
from maskcast.methods.eosvos.presets import tiny
from maskcast.methods.eosvos.targets import make_target

EVERYTHING = 10**6
"""As a sampler's size: every candidate is chosen, so that no draw matters."""
SIZE = (40, 56)


def config(**changes: object) -> MaskRCNNConfig:
    """The tiny network without chance in its losses."""
    chosen = {"sampled_anchors": EVERYTHING, "sampled_regions": EVERYTHING, **changes}
    return replace(tiny().network, **chosen)  # type: ignore[arg-type]


def network(seed: int = 0, **changes: object) -> ObjectNetwork:
    with seeded(seed):
        return ObjectNetwork(config(**changes))


def method(**changes: object) -> EOSVOSConfig:
    """The tiny method, one image a step and no augmentation, unless changed."""
    plain = replace(tiny(), inner_batch=1, spatial_augmentation=False)
    return replace(plain, **changes)  # type: ignore[arg-type]


def frame(seed: int = 0) -> Frame:
    """Dark noise with a bright rectangle where ``mask`` is."""
    generator = torch.Generator().manual_seed(seed)
    picture = 0.3 * torch.rand(3, *SIZE, generator=generator)
    picture[:, mask(seed)] += 0.6
    return picture


def mask(seed: int = 0) -> Mask:
    found = torch.zeros(SIZE, dtype=torch.bool)
    found[8 + seed : 28 + seed, 10 + seed : 34 + seed] = True
    return found


def batch(of: ObjectNetwork, *seeds: int, copies: tuple[int, ...] | None = None) -> Batch:
    """Prepared frames in the precision of the network."""
    dtype = next(of.parameters()).dtype
    targets = [make_target(mask(seed).to(torch.uint8)) for seed in seeds]
    return of.prepare([frame(seed).to(dtype) for seed in seeds], targets, copies)
