"""Training recipes of LWL: the paper's, and that of the small model inside the package."""

from __future__ import annotations

from maskcast.core.training import LoopConfig, OptimiserConfig, Recipe, ScheduleConfig
from maskcast.data.augmentation import ClipProcessing
from maskcast.methods.lwl import config as configs
from maskcast.methods.lwl.training import LossConfig, LWLTask, LWLTrainingConfig, Rates
from maskcast.methods.lwl.training_data import DataConfig

HELD_OUT = (
    "breakdance-flare",
    "car-turn",
    "hockey",
    "horsejump-low",
    "lucia",
    "scooter-gray",
)
"""Of DAVIS-2016 train: what the small model is tuned on, chosen before the first run."""


def small() -> LWLTrainingConfig:
    """The small model: all parts at once on videos, single pictures and made-up clips."""
    return LWLTrainingConfig(
        model=configs.small(),
        data=DataConfig(
            youtube_vos_weight=0.0,
            davis_weight=0.0,
            videos_weight=5.0,
            pictures_weight=4.0,
            made_up_weight=1.0,
            held_out=HELD_OUT,
            all_objects_as_one=True,
        ),
        processing=ClipProcessing(size=(192, 320)),
        rates=Rates(
            kappa=1e-3,
            features=3e-4,
            decoder=1e-3,
            label_encoder=1e-3,
            trunk=1e-4,
            box_encoder=1e-3,
        ),
        loss=LossConfig(mask_weight=1.0, box_weight=0.2, over="frame", cross_entropy=1.0),
        apply_updates=True,
        validation_clips=48,
        loop=LoopConfig(
            epochs=18,
            iterations=100,
            batch_size=4,
            optimiser=OptimiserConfig(kind="adamw", weight_decay=1e-4),
            schedule=ScheduleConfig(kind="cosine", final=0.01, warm_up=50),
            precision="bf16",
            clip_norm=1.0,
            average_decay=0.995,
            validate_every=2,
            workers=1,
            best_metric="J",
        ),
    )


RECIPES = {
    "lwl-small": Recipe("the small model inside the package", small(), LWLTask),
}
