"""Training recipes of e-OSVOS: both published stages, every row of Table 1, and a reduced model.

Box propagation and online adaptation are settings at test time, so the last rows of Table 1 use the
weights of ``eosvos-lovasz``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from maskcast.core.training import LoopConfig, OptimiserConfig, Recipe, ScheduleConfig, Task
from maskcast.data.hold_out_names import SMALL_HOLD_OUT_REAL
from maskcast.methods.eosvos.config import EOSVOSConfig, MaskLoss, MaskRCNNConfig, RateLevel
from maskcast.methods.eosvos.training.config import (
    InnerLoopConfig,
    MetaTrainingConfig,
    ParentTrainingConfig,
    TaskDataConfig,
    ValidationConfig,
)

SMALL = EOSVOSConfig(
    network=MaskRCNNConfig(
        trunk="efficientnet-lite0",
        norm="frozen_bn",
        pyramid_channels=64,
        anchor_sizes=(8, 16, 32, 64, 128),
        box_features=256,
        mask_channels=64,
        mask_pool=14,
        min_side=192,
        max_side=352,
        pre_nms_train=200,
        pre_nms_test=100,
        post_nms_train=100,
        post_nms_test=100,
        sampled_anchors=64,
        sampled_regions=32,
    )
)
"""The whole method with a network and frames small enough to train on two CPU cores."""


def ladder_row(
    level: RateLevel, norm: Literal["frozen_bn", "group"], mask_loss: MaskLoss
) -> EOSVOSConfig:
    """Return a model of Table 1, with batch 1, no augmentation and no box propagation."""
    return EOSVOSConfig(
        network=MaskRCNNConfig(norm=norm, mask_loss=mask_loss),
        rate_level=level,
        inner_batch=1,
        spatial_augmentation=False,
        propagation="off",
    )


def _meta_training(config: MetaTrainingConfig) -> Task:
    from maskcast.methods.eosvos.training.meta_training import MetaTraining  # noqa: PLC0415 - torchvision

    return MetaTraining(config)


def _parent_training(config: ParentTrainingConfig) -> Task:
    from maskcast.methods.eosvos.training.parent_training import ParentTraining  # noqa: PLC0415 - torchvision

    return ParentTraining(config)


def _meta(title: str, **changes: Any) -> Recipe[MetaTrainingConfig]:
    return Recipe(title, replace(MetaTrainingConfig(), **changes), _meta_training)


_PARENT = ladder_row("single", "frozen_bn", "bce")

RECIPES: dict[str, Recipe[Any]] = {
    "eosvos": _meta("published stage 1: YouTube-VOS and DAVIS 2017, from COCO weights"),
    "eosvos-davis17": _meta(
        "published stage 2 on DAVIS 2017, from stage 1, learning rates frozen", rate_rate=0.0
    ),
    "eosvos-davis16": _meta(
        "published stage 2 on DAVIS 2016, from stage 1, learning rates frozen",
        rate_rate=0.0,
        data=TaskDataConfig(davis_year=2016, all_objects_as_one=True),
    ),
    "eosvos-parent": Recipe(
        "Table 1: parent network, to which a grid search adds a single rate",
        ParentTrainingConfig(method=_PARENT),
        _parent_training,
    ),
    "eosvos-single": _meta("Table 1: learned start and a single learned rate", method=_PARENT),
    "eosvos-neuron": _meta(
        "Table 1: plus a rate per neuron", method=ladder_row("neuron", "frozen_bn", "bce")
    ),
    "eosvos-groupnorm": _meta(
        "Table 1: plus group normalisation", method=ladder_row("neuron", "group", "bce")
    ),
    "eosvos-lovasz": _meta(
        "Table 1: plus Lovász loss; propagation and adaptation are options at test time",
        method=ladder_row("neuron", "group", "lovasz_hinge"),
    ),
    "eosvos-small-parent": Recipe(
        "parent network of eosvos-small, on pictures and video frames",
        ParentTrainingConfig(
            method=replace(SMALL, rate_level="single"),
            objects="each",
            crop=None,
            data=TaskDataConfig(held_out=SMALL_HOLD_OUT_REAL),
            validation=ValidationConfig(every=8),
            loop=LoopConfig(
                batch_size=8,
                epochs=10,
                iterations=100,
                validate_every=0,
                optimiser=OptimiserConfig(kind="adam", rate=3e-4),
                schedule=ScheduleConfig(kind="cosine", final=0.02),
            ),
        ),
        _parent_training,
    ),
    "eosvos-small": _meta(
        "a small model, meta-learned on DAVIS 2016 train, from eosvos-small-parent",
        method=SMALL,
        data=TaskDataConfig(held_out=SMALL_HOLD_OUT_REAL, all_objects_as_one=True),
        inner=InnerLoopConfig(inner_steps=10),
        initial_rate=1e-2,
        start_rate=4e-4,
        rate_rate=2e-4,
        validation=ValidationConfig(every=8),
        loop=LoopConfig(
            batch_size=4,
            epochs=7,
            iterations=30,
            validate_every=0,
            average_decay=0.98,
            optimiser=OptimiserConfig(kind="radam"),
            schedule=ScheduleConfig(kind="cosine", final=0.05),
        ),
    ),
}
"""Recipes by name, for ``maskcast train``."""
