"""Settings of e-OSVOS; the defaults are those of the published system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from maskcast.core.config import require_choice, require_range, require_rising
from maskcast.core.errors import ConfigError

TrunkName = Literal["resnet10", "resnet18", "resnet34", "resnet50", "resnet101"]
MaskLoss = Literal["lovasz_hinge", "lovasz_softmax", "bce"]
NormName = Literal["group", "frozen_bn"]
RateLevel = Literal["neuron", "tensor", "param", "single"]
Propagation = Literal["extend", "replace", "off"]
PropagatedBox = Literal["mask", "detection"]
Reset = Literal["first_step", "full", "keep"]
PresenceRule = Literal["off", "confidence"]

INITIAL_RATE = 0.001
"""What learning rates start around, before they are learned."""


@dataclass(frozen=True, kw_only=True)
class MaskRCNNConfig:
    """The segmentation model of one object: Mask R-CNN with two classes."""

    trunk: TrunkName = "resnet50"
    """Which ResNet makes the features; the paper's is a ResNet-50."""
    trunk_width: int = 64
    """Channels of the stem; the four stages follow it (torchvision: 64)."""
    norm: NormName = "group"
    """Normalisation of the trunk; ``frozen_bn`` is the ablation, its statistics stay fixed."""
    norm_groups: int = 32
    """Groups of channels of each GroupNorm; trunk_width must be a multiple."""
    train_trunk: bool = True
    """False leaves trunk and pyramid as they start and adapts the proposal network and heads."""
    pyramid_channels: int = 256
    """Channels of every pyramid level; also those of the proposal head."""
    anchor_sizes: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Side of the anchors on each pyramid level, in pixels of the resized frame."""
    box_features: int = 1024
    """Units of both layers of the box head."""
    mask_channels: int = 256
    """Channels of the four layers of the mask head."""
    box_pool: int = 7
    """Cells to a side of a region, for the box head."""
    mask_pool: int = 28
    """The same for the mask head (Mask R-CNN: 14); the masks are twice as large, 56×56."""
    min_side: int = 800
    """Frames are resized until the short side has so many pixels, or the long one max_side."""
    max_side: int = 1333
    """The most pixels that the long side of a resized frame has."""
    pre_nms_train: int = 2000
    """While fine-tuning: proposals kept per pyramid level before non-maximum suppression."""
    pre_nms_test: int = 1000
    """The same while an object is looked for."""
    post_nms_train: int = 2000
    """While fine-tuning: proposals kept per frame after non-maximum suppression."""
    post_nms_test: int = 1000
    """The same while an object is looked for; with propagation "extend" half of them are copies
    of the previous box."""
    sampled_anchors: int = 256
    """Drawn per frame for the losses of the proposal network, at most half of them positive."""
    sampled_regions: int = 512
    """Drawn per frame for the losses of the heads, at most a quarter of them positive."""
    score_threshold: float = 0.5
    """Detections must score above it (published under the name ``box_nms_thresh``)."""
    nms_threshold: float = 0.5
    """Of two detections that overlap by more than this (IoU) the one with the lower score goes."""
    detections: int = 1
    """Boxes kept per frame; only the best is used."""
    mask_loss: MaskLoss = "lovasz_hinge"
    """For every positive region on its own; lovasz_softmax is the paper's wording."""
    legacy_losses: bool = True
    """True: box losses of 2019 (L1, smooth L1 with beta 1), which the learned rates expect;
    False: those of today's torchvision (smooth L1 with beta 1/9)."""

    def __post_init__(self) -> None:
        require_choice(self, "trunk", "mask_loss", "norm")
        widths = ("trunk_width", "norm_groups", "pyramid_channels", "box_features", "mask_channels")
        require_range(self, *widths, least=1, prefix="network.")
        sizes = ("box_pool", "mask_pool", "min_side", "anchor_sizes")
        require_range(self, *sizes, least=1, prefix="network.")
        counts = ("pre_nms_train", "pre_nms_test", "post_nms_train", "post_nms_test")
        require_range(self, *counts, least=1, prefix="network.")
        samples = ("sampled_anchors", "sampled_regions", "detections")
        require_range(self, *samples, least=1, prefix="network.")
        thresholds = ("score_threshold", "nms_threshold")
        require_range(self, *thresholds, least=0, most=1, prefix="network.")
        require_range(self, "max_side", least=self.min_side, prefix="network.")
        if len(self.anchor_sizes) != 5:
            raise ConfigError(
                "network.anchor_sizes must have 5 values, one per level, got "
                f"{len(self.anchor_sizes)}"
            )
        if self.norm == "group" and self.trunk_width % self.norm_groups:
            raise ConfigError(
                "network.trunk_width must be a multiple of network.norm_groups, got "
                f"{self.trunk_width} and {self.norm_groups}"
            )


@dataclass(frozen=True, kw_only=True)
class PresenceConfig:
    """Recognising that an object is not on a frame; not part of the paper.

    Confidence is the score of the best box, 0 if there is none or its mask is empty. An absent
    object has an empty mask, is not learnt from, and is looked for where it was seen last.
    """

    rule: PresenceRule = "off"
    """How absence is recognised: not at all, as published, or by the confidence."""
    thresholds: tuple[float, float] = (0.8, 0.88)
    """Confidence, 0 to 1, below which an object becomes absent, and from which it is visible
    again. Boxes whose score is not above network.score_threshold are never found."""

    def __post_init__(self) -> None:
        require_choice(self, "rule")
        require_range(self, "thresholds", above=0, below=1, prefix="presence.")
        require_rising(self, "thresholds", prefix="presence.")


@dataclass(frozen=True, kw_only=True)
class EOSVOSConfig:
    """How one object is followed through a video."""

    network: MaskRCNNConfig = field(default_factory=MaskRCNNConfig)
    rate_level: RateLevel = "neuron"
    """What shares a learned rate: an output neuron, a tensor, nothing, or all parameters."""
    log_rates: bool = False
    """The stored rates are logarithms."""
    inner_steps: int = 10
    """Fine-tuning steps on the first frame; the paper reports 10, 50 and 100."""
    inner_batch: int = 3
    """Copies of the first frame per step. An adaptation round learns from one past frame fewer."""
    spatial_augmentation: bool = True
    """Flip, turn and scale every copy afresh in the fine-tuning on the first frame."""
    patience: int = 0
    """Stop fine-tuning when the best loss moved by at most min_improvement over so many steps;
    0: never."""
    min_improvement: float = 0.001
    """By how much the best loss must fall within patience steps for fine-tuning to go on."""
    online_adaptation: bool = False
    """Fine-tune again every adaptation_interval frames on own masks (OnA)."""
    adaptation_interval: int = 5
    """I_OnA: frames from one adaptation round to the next."""
    adaptation_steps: int = 10
    """T_OnA: fine-tuning steps of every adaptation round, and after a correction."""
    adaptation_reset: Reset = "first_step"
    """Where a round starts: the weights fine-tuned on the first frame, the learned start, or
    the weights as they are."""
    mask_threshold: float = 0.5
    """Probability from which a pixel belongs to the object, for the propagated box and for frames
    to adapt to. Objects are merged at one half whatever it is."""
    propagation: Propagation = "extend"
    """Boxes of the previous frame join the proposals, replace them, or are not used."""
    propagated_box: PropagatedBox = "mask"
    """Which box is handed on: around the previous mask, or as detected (the paper's wording)."""
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    legacy_late_objects: bool = False
    """True: as published, an object given while others are followed already has no map on its
    first frame, not even the mask that was given, and no box for the next one."""
    seed: int = 1
    """Seed of everything drawn; fine-tuning step t draws from seed + t."""
    micro_batches: bool = False
    """Fine-tune image by image with the normalisers of the whole batch: equal results, a
    third of the memory with three images, one more pass through trunk and proposals."""
    recompute: bool = False
    """Recompute what is inside the stages of the trunk in the backward pass: less memory, one
    more pass through the trunk."""
    autocast_fine_tuning: bool = False
    """Fine-tune in mixed precision too, not on a CPU; without it only inference follows the
    chosen precision."""
    rounds_kept: int = 8
    """Adaptation rounds whose weights stay in memory, one per object at least; others are run
    again when an old state needs them."""
    objects_at_once: int = 0
    """Networks that stay loaded, an object in each; more objects take turns in them. 0: on a GPU
    as many as half of its free memory holds, elsewhere one. Objects are worked on one after
    another all the same."""

    def __post_init__(self) -> None:
        require_choice(self, "rate_level", "adaptation_reset", "propagation", "propagated_box")
        steps = ("inner_steps", "adaptation_steps", "patience", "objects_at_once", "seed")
        require_range(self, *steps, least=0)
        require_range(self, "inner_batch", "adaptation_interval", "rounds_kept", least=1)
        require_range(self, "mask_threshold", least=0, most=1)


def tiny() -> EOSVOSConfig:
    """The smallest model that runs every part, for tests."""
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
