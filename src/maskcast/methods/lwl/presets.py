"""Complete settings of LWL: the published networks, the small ones, and the smallest for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from maskcast.methods.lwl.config import (
    CropConfig,
    LearnerConfig,
    LWLConfig,
    MemoryConfig,
    NetworkConfig,
)


def ytvos() -> LWLConfig:
    """Return the settings of the published mask network (parameter set ``ytvos``)."""
    return LWLConfig()


def boxinit() -> LWLConfig:
    """Return the settings of the published box network (parameter set ``boxinit``)."""
    return LWLConfig(
        network=NetworkConfig(box_encoder=True),
        learner=LearnerConfig(update_steps=5, update_every=5),
        memory=MemoryConfig(update_rate=0.2, minimum_first_weight=0.0, equal_second_weight=True),
    )


def printed() -> LWLConfig:
    """Return the settings of the paper's section 3.5 where the published code differs."""
    return LWLConfig(
        memory=MemoryConfig(
            gamma_weighs="loss",
            minimum_first_weight=0.0,
            decay_from_first=True,
            keep_first_frame=True,
        )
    )


def small() -> LWLConfig:
    """Return the settings of ``lwl-small-0.1``, for laptops: ResNet-18 and a narrow decoder."""
    return LWLConfig(
        network=NetworkConfig(
            trunk="resnet18",
            trunk_layout="imagenet",
            feature_channels=256,
            decoder_widths=(32, 64, 96, 96),
            upsampler_width=16,
            upsampling="bilinear",
            box_encoder=True,
        ),
        learner=LearnerConfig(update_steps=5, update_every=2),
        memory=MemoryConfig(update_rate=0.2),
        crop=CropConfig(size=(288, 496), search_area=3.0, exact_paste=True, box_view="crop"),
    )


def small_lite(
    trunk: Literal["efficientnet-lite0", "efficientnet-lite2"] = "efficientnet-lite0",
) -> LWLConfig:
    """Return the settings of ``lwl-small``: as ``small``, with an EfficientNet-Lite."""
    first = small()
    return replace(
        first,
        network=replace(first.network, trunk=trunk, trunk_padding="symmetric"),
        crop=replace(first.crop, disjoint_boxes=True),
        memory=replace(first.memory, size=12),
    )


def tiny() -> LWLConfig:
    """Return the settings of the smallest network that runs every part; for tests."""
    return LWLConfig(
        network=NetworkConfig(
            trunk="resnet18",
            trunk_layout="imagenet",
            feature_channels=16,
            filters=4,
            label_widths=(4, 4, 8),
            decoder_widths=(8, 8, 8, 8),
            upsampler_width=4,
            box_encoder=True,
            box_width=8,
        ),
        learner=LearnerConfig(initial_steps=3, update_steps=1),
        memory=MemoryConfig(size=3),
        crop=CropConfig(size=(64, 96), minimum_mass=4.0),
    )
