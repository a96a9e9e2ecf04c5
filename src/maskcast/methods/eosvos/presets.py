"""Complete settings of e-OSVOS: the smallest network, for tests."""

from __future__ import annotations

from maskcast.methods.eosvos.config import (
    EOSVOSConfig,
    MaskRCNNConfig,
)


def tiny() -> EOSVOSConfig:
    """Return the settings of the smallest network that runs every part; for tests."""
    network = MaskRCNNConfig(
        trunk="resnet10",
        trunk_width=8,
        norm_groups=4,
        pyramid_channels=8,
        anchor_sizes=(8, 16, 32, 64, 128),
        box_features=16,
        mask_channels=8,
        box_pool=3,
        mask_pool=7,
        min_side=64,
        max_side=96,
        pre_nms_train=60,
        pre_nms_test=40,
        post_nms_train=40,
        post_nms_test=20,
        sampled_anchors=64,
        sampled_regions=32,
        score_threshold=0.0,
    )
    return EOSVOSConfig(
        network=network,
        inner_steps=2,
        inner_batch=2,
        online_adaptation=True,
        adaptation_interval=3,
        adaptation_steps=1,
    )
