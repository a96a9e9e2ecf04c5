"""Recipes of the small models.

``lwl-small`` starts from an ImageNet-trained EfficientNet-Lite (``--trunk-weights``), but its
recipes work with every trunk (``--model.network.trunk``): one for all parts, then one for the
presence head and one for the box encoder, which start from the weights of the first and freeze the
rest of the network. ``lwl-small-0.1``, the model of version 0.1, has a ResNet-18.
"""

from __future__ import annotations

from dataclasses import replace

from maskcast.core.training import LoopConfig, OptimiserConfig, ScheduleConfig
from maskcast.data.hold_out_names import DAVIS16_HOLD_OUT, SMALL_HOLD_OUT
from maskcast.data.licences import SMALL_DATA
from maskcast.methods.lwl import presets
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.training.clip_settings import BoxJitter, ClipProcessing, ClipSampling
from maskcast.methods.lwl.training.config import (
    DataConfig,
    LossConfig,
    LWLTrainingConfig,
    Rates,
    RolloutConfig,
)

SMALL_LICENCE = (
    "research and evaluation only, whatever the licence of the code: trained on DAVIS 2016 and "
    "2017 (CC BY-NC 4.0), SegTrack v2 (research), PASCAL VOC 2012 and SBD (Flickr terms, "
    "research), COCO 2017 (annotations CC BY 4.0; pictures under Flickr terms), Oxford-IIIT Pet "
    "(CC BY-SA 4.0), rendered clips (research; some models CC BY-NC-SA 4.0) and research "
    "collections, from an ImageNet-trained EfficientNet-Lite trunk (Apache-2.0 file)"
)
FROZEN = {"kappa": 0.0, "features": 0.0, "decoder": 0.0, "label_encoder": 0.0}
RATES = Rates(
    kappa=1e-3, features=3e-4, decoder=1e-3, label_encoder=1e-3, trunk=1e-4, box_encoder=1e-3
)


def _loop(*, epochs: int, warm_up: int, validate_every: int, best_metric: str) -> LoopConfig:
    return LoopConfig(
        epochs=epochs,
        iterations=100,
        batch_size=4,
        optimiser=OptimiserConfig(kind="adamw", weight_decay=1e-4),
        schedule=ScheduleConfig(kind="cosine", final=0.01, warm_up=warm_up),
        precision="bf16",
        clip_norm=1.0,
        average_decay=0.995,
        validate_every=validate_every,
        validate_first=True,
        workers=1,
        best_metric=best_metric,
    )


def small() -> LWLTrainingConfig:
    """Train all parts at once on real and rendered videos, single pictures and synthetic clips."""
    return LWLTrainingConfig(
        model=_with_presence_head(presets.small_lite()),
        data=DataConfig(
            youtube_vos_weight=0.0,
            davis_weight=0.0,
            videos_weight=5.0,
            rendered_weight=2.0,
            pictures_weight=2.5,
            synthetic_weight=0.5,
            held_out=SMALL_HOLD_OUT,
            sampling=ClipSampling(
                needs_earlier_frame=False,
                absent=0.5,
                distinct=True,
                uniform_over="videos",
                fewest_visible=6,
            ),
        ),
        processing=ClipProcessing(
            size=(240, 416),
            search_area=3.0,
            train_jitter=BoxJitter(0.25, (1.8, 1.8)),
            test_jitter=BoxJitter(0.4, (2.6, 2.2)),
            box_jitter=(0.05, 0.2),
            miss=0.08,
        ),
        rates=replace(RATES, presence_head=1e-3),
        loss=LossConfig(
            mask_weight=1.0,
            box_weight=0.2,
            presence_weight=0.2,
            over="frame",
            cross_entropy=1.0,
            lovasz_on_absent=False,
        ),
        query_frames=4,
        apply_updates=True,
        rollout=RolloutConfig(
            gammas_as_at_test=True,
            negatives=3,
            known_absence=0.8,
            corrections=0.1,
            box_starts=0.2,
        ),
        validation_clips=48,
        licence=SMALL_LICENCE,
        loop=_loop(epochs=30, warm_up=100, validate_every=3, best_metric="quality"),
    )


def small_presence() -> LWLTrainingConfig:
    """Train the presence head alone, on clips with more absences, as it is used at test time."""
    first = small()
    sampling = replace(first.data.sampling, absent=0.7)
    data = replace(first.data, videos_weight=4.0, rendered_weight=4.0, sampling=sampling)
    return replace(
        first,
        data=replace(data, pictures_weight=1.5),
        processing=replace(first.processing, miss=0.15),
        rates=Rates(**FROZEN, presence_head=1e-3),
        loss=replace(first.loss, mask_weight=0.0, box_weight=0.0, presence_weight=1.0),
        query_frames=5,
        rollout=replace(first.rollout, known_absence=0.5),
        loop=replace(first.loop, epochs=10, validate_every=2, best_metric="presence_auc", seed=1),
    )


def small_boxes() -> LWLTrainingConfig:
    """Train the box encoder alone, on tight and loose boxes of every frame."""
    first = small()
    return replace(
        first,
        data=replace(
            first.data,
            videos_weight=4.0,
            rendered_weight=1.0,
            pictures_weight=5.0,
            sampling=replace(first.data.sampling, absent=0.0),
        ),
        processing=replace(first.processing, miss=0.0),
        rates=Rates(**FROZEN, box_encoder=1e-3),
        loss=LossConfig(
            mask_weight=0.0,
            box_weight=1.0,
            over="frame",
            cross_entropy=1.0,
            box_frames="all",
            box_regression=1.0,
        ),
        query_frames=1,
        loop=replace(first.loop, epochs=10, batch_size=8, validate_every=2, seed=2),
    )


def small_0_1() -> LWLTrainingConfig:
    """The model of 0.1: train all parts at once on videos, pictures and synthetic clips."""
    return LWLTrainingConfig(
        model=presets.small(),
        data=DataConfig(
            youtube_vos_weight=0.0,
            davis_weight=0.0,
            videos_weight=5.0,
            pictures_weight=4.0,
            synthetic_weight=1.0,
            held_out=DAVIS16_HOLD_OUT,
            all_objects_as_one=True,
        ),
        processing=ClipProcessing(size=(192, 320)),
        rates=RATES,
        loss=LossConfig(mask_weight=1.0, box_weight=0.2, over="frame", cross_entropy=1.0),
        apply_updates=True,
        validation_clips=48,
        licence=SMALL_DATA,
        loop=_loop(epochs=18, warm_up=50, validate_every=2, best_metric="J"),
    )


def small_0_1_on_larger_crops() -> LWLTrainingConfig:
    """The model of 0.1 on larger crops, at half the learning rates."""
    first = small_0_1()
    rates = replace(
        first.rates,
        kappa=5e-4,
        features=1.5e-4,
        decoder=5e-4,
        label_encoder=5e-4,
        trunk=5e-5,
        box_encoder=5e-4,
    )
    return replace(
        first,
        data=replace(first.data, videos_weight=6.0, pictures_weight=3.0),
        processing=ClipProcessing(size=(240, 416)),
        rates=rates,
        loop=replace(first.loop, epochs=12, seed=1),
    )


def _with_presence_head(model: LWLConfig) -> LWLConfig:
    return replace(model, network=replace(model.network, presence_head=True))
