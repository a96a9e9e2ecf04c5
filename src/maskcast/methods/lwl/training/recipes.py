"""Training recipes of LWL: the paper's stages and ablations, and the small models.

The published stages require YouTube-VOS, DAVIS 2017 and COCO. Each stage starts from the weights of
the previous one: ``maskcast train lwl-stage2 --start-from runs/lwl-stage1/…``.
"""

from __future__ import annotations

from dataclasses import replace

from maskcast.core.training import LoopConfig, Recipe, ScheduleConfig, Task
from maskcast.methods.lwl import presets
from maskcast.methods.lwl.config import NetworkConfig
from maskcast.methods.lwl.training.clip_settings import ClipProcessing
from maskcast.methods.lwl.training.config import DataConfig, LossConfig, LWLTrainingConfig, Rates
from maskcast.methods.lwl.training.small_recipes import (
    small,
    small_0_1,
    small_0_1_on_larger_crops,
    small_boxes,
    small_presence,
)


def _published_loop(epochs: int, milestones: tuple[int, ...], batch_size: int = 20) -> LoopConfig:
    return LoopConfig(
        epochs=epochs,
        iterations=1000,
        batch_size=batch_size,
        schedule=ScheduleConfig(kind="milestones", milestones=milestones, factor=0.2),
        validate_every=5,
        workers=8,
    )


def stage1() -> LWLTrainingConfig:
    """Stage 1: train all parts but the trunk."""
    return LWLTrainingConfig(validation_clips=2000, loop=_published_loop(70, (40,)))


def stage2() -> LWLTrainingConfig:
    """Stage 2: train all parts, including layer2 to layer4 of the trunk."""
    rates = Rates(kappa=2e-5, features=2e-5, decoder=2e-5, label_encoder=2e-5, trunk=2e-5)
    return replace(stage1(), rates=rates, loop=_published_loop(80, (25, 75)))


def box() -> LWLTrainingConfig:
    """Train the box encoder of a finished mask network; all other parts are frozen."""
    return LWLTrainingConfig(
        model=presets.boxinit(),
        data=DataConfig(youtube_vos_weight=1.0, davis_weight=0.0, coco_weight=1.0),
        processing=ClipProcessing(rotation=0.0, log_scale=0.0),
        rates=Rates(
            kappa=0.0, features=0.0, decoder=0.0, label_encoder=0.0, trunk=0.0, box_encoder=1e-3
        ),
        loss=LossConfig(mask_weight=0.0, box_weight=10.0),
        query_frames=1,
        validation_clips=800,
        loop=_published_loop(50, (20, 40), batch_size=8),
    )


def davis_fine_tuning() -> LWLTrainingConfig:
    """Fine-tune stage 2 on DAVIS. Length and rates are unpublished; these are our choice."""
    rates = Rates(kappa=1e-5, features=1e-5, decoder=1e-5, label_encoder=1e-5, trunk=1e-5)
    return replace(
        stage2(),
        data=DataConfig(youtube_vos_weight=0.0),
        rates=rates,
        loop=_published_loop(10, (5,)),
    )


def _from_imagenet(config: LWLTrainingConfig) -> LWLTrainingConfig:
    network = replace(config.model.network, trunk_layout="imagenet")
    return replace(config, model=replace(config.model, network=network))


def _only(config: LWLTrainingConfig, data: DataConfig) -> LWLTrainingConfig:
    return replace(_from_imagenet(config), data=data)


def ladder(network: NetworkConfig, rates: Rates) -> LWLTrainingConfig:
    """A row of Table 1: stage 1 with a frozen trunk, evaluated on the YouTube-VOS hold-out."""
    first = stage1()
    return replace(first, model=replace(first.model, network=network), rates=rates)


MASK_AS_LABEL = NetworkConfig(filters=1, label="mask", weight="uniform", end_to_end=False)
BASELINE = ladder(MASK_AS_LABEL, Rates(kappa=0.0, features=0.0, label_encoder=0.0))
END_TO_END = ladder(replace(MASK_AS_LABEL, end_to_end=True), Rates(label_encoder=0.0))
LABEL_GENERATOR = ladder(NetworkConfig(weight="uniform"), Rates())
WEIGHT_PREDICTOR = ladder(NetworkConfig(), Rates())


YOUTUBE_ONLY = DataConfig(davis_weight=0.0)
DAVIS_ONLY = DataConfig(youtube_vos_weight=0.0)


def _build(config: LWLTrainingConfig) -> Task:
    from maskcast.methods.lwl.training.task import LWLTask  # noqa: PLC0415 - imports torch

    return LWLTask(config)


def _recipe(title: str, config: LWLTrainingConfig) -> Recipe[LWLTrainingConfig]:
    return Recipe(title, config, _build)


RECIPES = {
    "lwl-small": _recipe("the small model in the package", small()),
    "lwl-presence": _recipe("only the presence head of lwl-small", small_presence()),
    "lwl-small-boxes": _recipe("only the box encoder of lwl-small", small_boxes()),
    "lwl-small-0.1": _recipe("the small model of version 0.1", small_0_1()),
    "lwl-small-0.1-crop": _recipe(
        "lwl-small-0.1, continued on larger crops", small_0_1_on_larger_crops()
    ),
    "lwl-stage1": _recipe("published stage 1: all parts but the trunk", stage1()),
    "lwl-stage2": _recipe("published stage 2: all parts, from lwl-stage1", stage2()),
    "lwl-box": _recipe("published box encoder, from lwl-stage2", box()),
    "lwl-davis-finetune": _recipe("lwl-stage2 fine-tuned on DAVIS", davis_fine_tuning()),
    "lwl-imagenet-stage1": _recipe(
        "stage 1 with a trunk trained on ImageNet", _from_imagenet(stage1())
    ),
    "lwl-imagenet-stage2": _recipe("stage 2, from lwl-imagenet-stage1", _from_imagenet(stage2())),
    "lwl-youtube-stage1": _recipe(
        "stage 1 on YouTube-VOS only, ImageNet trunk", _only(stage1(), YOUTUBE_ONLY)
    ),
    "lwl-youtube-stage2": _recipe(
        "stage 2 on YouTube-VOS only, from lwl-youtube-stage1", _only(stage2(), YOUTUBE_ONLY)
    ),
    "lwl-davis-stage1": _recipe(
        "stage 1 on DAVIS only, ImageNet trunk", _only(stage1(), DAVIS_ONLY)
    ),
    "lwl-davis-stage2": _recipe(
        "stage 2 on DAVIS only, from lwl-davis-stage1", _only(stage2(), DAVIS_ONLY)
    ),
    "lwl-ladder-baseline": _recipe("Table 1: mask as label, only the decoder trained", BASELINE),
    "lwl-ladder-end-to-end": _recipe("Table 1: plus features and κ trained", END_TO_END),
    "lwl-ladder-label": _recipe("Table 1: plus a learned label", LABEL_GENERATOR),
    "lwl-ladder-weight": _recipe("Table 1: plus a learned weight (full model)", WEIGHT_PREDICTOR),
}
