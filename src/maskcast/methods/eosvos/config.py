"""Settings of e-OSVOS; the defaults are those of the published system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from maskcast.core.config import require_choice, require_range
from maskcast.core.errors import ConfigError
from maskcast.methods.eosvos.presence_config import PresenceConfig

TrunkChoice: TypeAlias = Literal[
    "resnet10", "resnet18", "resnet34", "resnet50", "resnet101", "efficientnet-lite0"
]
MaskLoss: TypeAlias = Literal["lovasz_hinge", "lovasz_softmax", "bce"]
NormName: TypeAlias = Literal["group", "frozen_bn"]
RateLevel: TypeAlias = Literal["neuron", "tensor", "param", "single"]
Propagation: TypeAlias = Literal["extend", "replace", "off"]
PropagatedBox: TypeAlias = Literal["mask", "detection"]
Reset: TypeAlias = Literal["first_step", "full", "keep"]

INITIAL_RATE = 0.001
"""Learning rates before meta-training, on average."""


@dataclass(frozen=True, kw_only=True)
class MaskRCNNConfig:
    """The segmentation model of one object: Mask R-CNN with two classes."""

    trunk: TrunkChoice = "resnet50"
    """Feature extractor for the frames; the paper uses a ResNet-50."""
    trunk_width: int = 64
    """Channels of the stem of a ResNet (torchvision: 64), from which those of the four stages
    follow."""
    norm: NormName = "group"
    """Normalisation of the trunk. ``group``: GroupNorm; ``frozen_bn``: BatchNorm with fixed
    statistics (an ablation, and the only choice for an EfficientNet-Lite)."""
    norm_groups: int = 32
    """Number of groups of each GroupNorm; a divisor of trunk_width."""
    train_trunk: bool = True
    """Whether fine-tuning changes trunk and pyramid; if not, it changes only the proposal network
    and the heads."""
    pyramid_channels: int = 256
    """Channels of every pyramid level and of the proposal head."""
    anchor_sizes: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Side of the anchors on each pyramid level, in pixels of the resized frame."""
    box_features: int = 1024
    """Units of both layers of the box head."""
    mask_channels: int = 256
    """Channels of the four layers of the mask head."""
    box_pool: int = 7
    """Cells per side of a pooled region for the box head."""
    mask_pool: int = 28
    """Cells per side of a pooled region for the mask head (Mask R-CNN: 14); the predicted masks are
    twice as large, 56×56."""
    min_side: int = 800
    """Length of the shorter side of a resized frame in pixels, unless the longer side would exceed
    max_side."""
    max_side: int = 1333
    """Maximum length of the longer side of a resized frame in pixels."""
    pre_nms_train: int = 2000
    """Proposals kept per pyramid level before non-maximum suppression, in fine-tuning."""
    pre_nms_test: int = 1000
    """Proposals kept per pyramid level before non-maximum suppression, in inference."""
    post_nms_train: int = 2000
    """Proposals kept per frame after non-maximum suppression, in fine-tuning."""
    post_nms_test: int = 1000
    """Proposals kept per frame after non-maximum suppression, in inference; with propagation
    "extend", half of them are copies of the previous box."""
    sampled_anchors: int = 256
    """Anchors sampled per frame for the losses of the proposal network, at most half of them
    positive."""
    sampled_regions: int = 512
    """Regions sampled per frame for the losses of the heads, at most a quarter of them positive."""
    score_threshold: float = 0.5
    """Score that a detection must exceed (published under the name ``box_nms_thresh``)."""
    nms_threshold: float = 0.5
    """IoU above which the lower-scored of two detections is suppressed."""
    detections: int = 1
    """Maximum number of detections per frame; only the best one is used."""
    mask_loss: MaskLoss = "lovasz_hinge"
    """Mask loss of each positive region. ``lovasz_hinge``: that of the published weights;
    ``lovasz_softmax``: as the paper describes; ``bce``: binary cross-entropy, an ablation."""
    legacy_losses: bool = True
    """Whether box losses are those of torchvision in 2019 (L1, smooth L1 with beta 1), for which
    the rates were learned, or those of current torchvision (smooth L1 with beta 1/9)."""

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
        is_frozen = self.norm == "frozen_bn"
        if self.trunk == "efficientnet-lite0" and not (
            is_frozen and self.pyramid_channels % 16 == 0
        ):
            raise ConfigError(
                f"with network.trunk {self.trunk}, network.norm must be frozen_bn and "
                "network.pyramid_channels a multiple of 16, got "
                f"{self.norm} and {self.pyramid_channels}"
            )
        if self.norm == "group" and self.trunk_width % self.norm_groups:
            raise ConfigError(
                "network.trunk_width must be a multiple of network.norm_groups, got "
                f"{self.trunk_width} and {self.norm_groups}"
            )


@dataclass(frozen=True, kw_only=True)
class EOSVOSConfig:
    """Settings of e-OSVOS at test time."""

    network: MaskRCNNConfig = field(default_factory=MaskRCNNConfig)
    rate_level: RateLevel = "neuron"
    """Parameters that share a learning rate. ``neuron``: those of an output neuron; ``tensor``:
    those of a tensor; ``param``: none; ``single``: all."""
    log_rates: bool = False
    """Whether the stored learning rates are logarithms."""
    inner_steps: int = 10
    """Fine-tuning steps on the first frame; the paper reports 10, 50 and 100."""
    inner_batch: int = 3
    """Copies of the first frame per fine-tuning step. An adaptation round uses one frame fewer from
    the past."""
    spatial_augmentation: bool = True
    """Whether fine-tuning on the first frame flips, rotates and scales every copy at random."""
    patience: int = 0
    """Fine-tuning steps within which the best loss must fall by more than min_improvement, or
    fine-tuning stops; 0 never stops early."""
    min_improvement: float = 0.001
    """Required decrease of the best loss within patience steps."""
    online_adaptation: bool = False
    """Whether the network is fine-tuned on its own masks every adaptation_interval frames (OnA)."""
    adaptation_interval: int = 5
    """I_OnA: number of frames between two adaptation rounds."""
    adaptation_steps: int = 10
    """T_OnA: fine-tuning steps per adaptation round, and after a correction."""
    adaptation_reset: Reset = "first_step"
    """Initial weights of an adaptation round. ``first_step``: those fine-tuned on the first frame;
    ``full``: the learned start; ``keep``: the current weights."""
    mask_threshold: float = 0.5
    """Minimum probability of the object's pixels, for the propagated box and for the masks used in
    adaptation. Merging of objects always uses 0.5."""
    propagation: Propagation = "extend"
    """Use of the previous frame's box. ``extend``: copies of it are added to the proposals;
    ``replace``: they replace the proposals; ``off``: none."""
    propagated_box: PropagatedBox = "mask"
    """Box to propagate. ``mask``: the box of the previous mask; ``detection``: the detected box, as
    the paper describes."""
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    legacy_late_objects: bool = False
    """Whether an object that starts after others is handled as published: it has an empty mask on
    its first frame, despite the given one, and no box for the next frame."""
    seed: int = 1
    """Seed of all random numbers; fine-tuning step t uses seed + t."""
    micro_batches: bool = False
    """Whether fine-tuning processes one image at a time, with equal results. With three images it
    takes a third of the memory, and one more pass through trunk and proposal network."""
    recompute: bool = False
    """Whether activations inside the stages of the trunk are recomputed in the backward pass, which
    takes less memory and one more pass through the trunk."""
    autocast_fine_tuning: bool = False
    """Whether fine-tuning uses mixed precision too; not supported on a CPU. If not, only inference
    uses the chosen precision."""
    rounds_kept: int = 8
    """Number of adaptation rounds whose weights stay in memory, at least one per object; others are
    run again when an old state needs them."""
    objects_at_once: int = 0
    """Number of networks that stay loaded, one per object; further objects take turns. 0 loads as
    many as fit into half of a GPU's free memory, or one on other devices. Objects are always
    processed one after another."""

    def __post_init__(self) -> None:
        require_choice(self, "rate_level", "adaptation_reset", "propagation", "propagated_box")
        steps = ("inner_steps", "adaptation_steps", "patience", "objects_at_once", "seed")
        require_range(self, *steps, least=0)
        require_range(self, "inner_batch", "adaptation_interval", "rounds_kept", least=1)
        require_range(self, "mask_threshold", least=0, most=1)
