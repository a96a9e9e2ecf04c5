"""Complete settings of A-GAME: the small network, and the smallest one for tests."""

from __future__ import annotations

from maskcast.methods.agame.config import (
    AgameConfig,
    AppearanceConfig,
    FusionConfig,
    PropagationConfig,
)


def small() -> AgameConfig:
    """Return the settings of ``agame-small``: a small trunk and heads of a quarter of the width."""
    return AgameConfig(
        trunk="efficientnet-lite0",
        trunk_classes=0,
        appearance=AppearanceConfig(channels=128, score_scale=0.05),
        propagation=PropagationConfig(channels=128),
        fusion=FusionConfig(hidden_channels=128, channels=64),
        decoder_channels=64,
        working_side=256,
    )


def tiny() -> AgameConfig:
    """Return the settings of the smallest network that runs every part; for tests."""
    return AgameConfig(
        trunk="resnet18",
        trunk_classes=0,
        appearance=AppearanceConfig(channels=12),
        propagation=PropagationConfig(channels=8),
        fusion=FusionConfig(hidden_channels=8, channels=6),
        decoder_channels=5,
    )
