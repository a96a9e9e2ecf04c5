"""Segment the query frames of a mini-sequence, as training does by default."""

from __future__ import annotations

import torch
from torch import Tensor

from maskcast.methods.lwl.config import MemoryConfig
from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.training.config import RolloutConfig
from maskcast.methods.lwl.training.rollout import ClipFollower


def segment_queries(
    network: LWLNetwork, images: Tensor, masks: Tensor, *, update_steps: int = 2
) -> Tensor:
    """Return logits of all frames but the first, whose mask is the first of ``masks``."""
    follower = ClipFollower(
        network=network,
        config=RolloutConfig(),
        memory=MemoryConfig(),
        initial_steps=5,
        update_steps=update_steps,
    )
    masks = torch.cat([masks[:1], torch.zeros(len(images) - 1, *masks.shape[1:])])
    visible = torch.ones(images.shape[:2], dtype=torch.int8)
    return follower.follow(images, masks, visible).logits
