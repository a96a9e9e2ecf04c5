"""Let a recipe of the small models run on a folder of videos alone."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from maskcast.data.hold_out_names import DAVIS16_HOLD_OUT, SMALL_HOLD_OUT
from maskcast.methods.lwl.training.config import DataConfig

logger = logging.getLogger(__name__)

OTHERS = ("youtube_vos", "davis", "coco", "rendered", "pictures")
"""Data that need a folder, besides videos."""


def has_videos_only(config: DataConfig) -> bool:
    """Return whether videos are the only data whose folder is given."""
    return bool(config.videos and config.videos_weight) and not any(
        getattr(config, name) for name in OTHERS
    )


def without_missing(config: DataConfig) -> DataConfig:
    """Leave out the kinds of data that a recipe mixes in, if only videos are given."""
    weights = {name: f"{name}_weight" for name in OTHERS}
    missing = [name for name, weight in weights.items() if getattr(config, weight)]
    if not missing or not has_videos_only(config):
        return config
    logger.info("training on videos alone; no folder is given for %s", ", ".join(missing))
    zero: dict[str, Any] = {weights[name]: 0.0 for name in missing}
    return replace(config, **zero)


def draws_hold_out(config: DataConfig) -> bool:
    """Return whether to draw a hold-out, because that of the recipe is of other videos."""
    usual = {*DAVIS16_HOLD_OUT, *SMALL_HOLD_OUT}
    return has_videos_only(config) and bool(config.held_out) and set(config.held_out) <= usual
