"""Settings of LWL's training. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from maskcast.core.config import called_before, require_range
from maskcast.core.errors import ConfigError
from maskcast.core.training import LoopConfig
from maskcast.data.hold_out_names import YOUTUBE_VOS_HOLD_OUT
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.training.clip_settings import ClipProcessing, ClipSampling


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Folders of training data, and the sampling weight of each kind relative to the others.

    Data with weight 0 are not used.
    """

    youtube_vos: Path | None = None
    """Folder of YouTube-VOS, which contains ``train``."""
    youtube_vos_weight: float = 6.0
    """Sampling weight of YouTube-VOS; 0 disables it."""
    youtube_vos_hold_out: Path | None = None
    """File that lists the held-out videos; by default they are drawn with a fixed seed."""
    youtube_vos_hold_out_size: int = YOUTUBE_VOS_HOLD_OUT
    """Number of held-out videos to draw."""
    davis: Path | None = None
    """Folder of DAVIS 2017, which contains the list ``train``."""
    davis_weight: float = 1.0
    """Sampling weight of DAVIS; 0 disables it."""
    coco: Path | None = None
    """Folder of COCO, which contains ``annotations/instances_<coco_split>.json``. A clip shows one
    instance and repeats the same picture."""
    coco_split: str = "train2014"
    """Split of COCO; the name of its folder of pictures."""
    coco_weight: float = 0.0
    """Sampling weight of COCO; 0 disables it."""
    videos: tuple[Path, ...] = ()
    """Folders with one subfolder per video, which contains ``frames`` and ``masks``."""
    videos_weight: float = 0.0
    """Sampling weight of ``videos``; 0 disables them."""
    rendered: tuple[Path, ...] = ()
    """Folders of rendered videos, arranged like ``videos``; every object is a separate target."""
    rendered_weight: float = 0.0
    """Sampling weight of ``rendered``; 0 disables them."""
    pictures: tuple[Path, ...] = ()
    """Folders that contain ``images`` and ``masks``, or folders of PASCAL VOC. A clip is made from
    a picture by moving object and background independently."""
    pictures_weight: float = 0.0
    """Sampling weight of clips made from ``pictures``; 0 disables them."""
    scenes: tuple[Path, ...] = ()
    """Folders of photographs, used as backgrounds of synthetic clips."""
    synthetic_weight: float = field(default=0.0, metadata=called_before("made_up_weight"))
    """Sampling weight of synthetic clips, which show objects of ``pictures`` and ``cutouts``, if
    given; 0 disables them."""
    cutouts: tuple[Path, ...] = ()
    """Folders of RGBA pictures of objects, which are pasted into clips made from ``pictures`` and
    into synthetic clips."""
    cutouts_share: float = 0.5
    """Share of ``cutouts`` among the pasted objects, in (0, 1), if there are ``pictures`` too."""
    synthetic_absent: float = 0.0
    """Probability, in [0, 1], that the object of a synthetic clip, or of a clip made from a
    picture, leaves the frame or is hidden on some test frames."""
    held_out: tuple[str, ...] = ()
    """Names of videos in ``videos``, ``rendered`` and ``davis`` that are used for validation only,
    never for training."""
    decoded: Path | None = None
    """Folder in which to cache decoded pictures, which are several times faster to read; it may
    become large."""
    all_objects_as_one: bool = False
    """Whether all objects of a video form one object, except in ``rendered`` videos."""
    sampling: ClipSampling = field(default_factory=ClipSampling)
    """How the frames of a clip are drawn from a video."""

    def __post_init__(self) -> None:
        weights = [name for name in self.__dataclass_fields__ if name.endswith("_weight")]
        require_range(self, *weights, least=0, prefix="data.")
        if not any(getattr(self, name) for name in weights):
            raise ConfigError(f"at least one of {', '.join(weights)} must be positive")
        require_range(self, "cutouts_share", above=0, below=1, prefix="data.")
        require_range(self, "synthetic_absent", least=0, most=1, prefix="data.")


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Learning rate of each part; a part with rate 0 is frozen. Defaults are those of stage 1."""

    kappa: float = 1e-4
    """Learning rate of κ, whose square is the weight of the regulariser."""
    features: float = 2e-5
    """Learning rate of the convolution that computes the target-model features."""
    decoder: float = 1e-4
    """Learning rate of the decoder."""
    label_encoder: float = 2e-4
    """Learning rate of the label encoder and the weight predictor."""
    trunk: float = 0.0
    """Learning rate of layer2, layer3 and layer4 (strides 8, 16 and 32), including the affine
    parameters of their BatchNorms; earlier layers are always frozen."""
    box_encoder: float = 0.0
    """Learning rate of the box encoder, if the network has one."""
    presence_head: float = 0.0
    """Learning rate of the presence head, if the network has one."""

    def __post_init__(self) -> None:
        require_range(self, *self.__dataclass_fields__, least=0, prefix="rates.")
        if not any(getattr(self, name) for name in self.__dataclass_fields__):
            raise ConfigError("at least one of the rates must be positive")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """The training loss: a weighted sum of Lovász losses and, optionally, cross-entropies."""

    mask_weight: float = 100.0
    """Weight of the Lovász loss on the query frames; if this and ``presence_weight`` are 0, no
    query frame is segmented."""
    box_weight: float = 0.0
    """Weight of the Lovász loss on the reference frame, segmented from its box."""
    presence_weight: float = 0.0
    """Weight of the presence head's cross-entropies, which train only the head."""
    over: Literal["batch", "frame"] = "batch"
    """Whether the Lovász loss is computed over the whole batch, as published, or for each frame and
    averaged, Eq. (5)."""
    cross_entropy: float = 0.0
    """Weight of a binary cross-entropy added to each Lovász loss; speeds up training from scratch,
    for which the Lovász loss alone is slow. Not in the paper."""
    lovasz_on_absent: bool = True
    """Whether frames without the object count in the Lovász loss if it is computed per frame. On
    such a frame it is the error of the worst pixel; false leaves the frame to the cross-entropy."""
    box_frames: Literal["reference", "all"] = "reference"
    """Frames that are segmented from their boxes, if no query frame is segmented; ``all`` uses
    every frame on which the object is visible."""
    box_regression: float = 0.0
    """Weight of the relative squared distance between the box encoder's output and the label
    encoder's, added to the Lovász loss; only if no query frame is segmented."""

    def __post_init__(self) -> None:
        weights = ("mask_weight", "box_weight", "presence_weight")
        require_range(self, *weights, "cross_entropy", "box_regression", least=0, prefix="loss.")
        if not any(getattr(self, name) for name in weights):
            raise ConfigError(f"one of {', '.join(weights)} must be positive")


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """Memory and random events between the frames of a clip; defaults as for lwl-small 0.1."""

    gammas_as_at_test: bool = False
    """Whether frames have the temporal weights of test time instead of equal weights."""
    last_update_only: bool = False
    """Whether gradients pass through the last update of the target model only, which saves memory
    on long clips."""
    negatives: int = 0
    """Maximum number of frames of a clip that enter the memory with an empty mask because the
    object is absent. 0 adds every frame with its own prediction."""
    known_absence: float = 1.0
    """Probability, in [0, 1], that the ground truth determines whether a frame is absent in
    training. Otherwise the presence head does, or the mean confidence if there is no head."""
    absent_below: float = 0.0
    """Mean confidence inside the mask below which an object counts as absent, if the network has no
    presence head."""
    corrections: float = 0.0
    """Probability, in [0, 1], that a query frame enters the memory with its true mask, as after a
    correction."""
    box_starts: float = 0.0
    """Probability, in [0, 1], that a clip starts from the soft mask of its box instead of the true
    mask, provided that this mask has an IoU of at least 0.5."""

    def __post_init__(self) -> None:
        probabilities = ("known_absence", "absent_below", "corrections", "box_starts")
        require_range(self, *probabilities, least=0, most=1, prefix="rollout.")
        require_range(self, "negatives", least=0, prefix="rollout.")


@dataclass(frozen=True, kw_only=True)
class LWLTrainingConfig:
    """Settings of a training recipe; the defaults are stage 1 of the published training."""

    model: LWLConfig = field(default_factory=LWLConfig)
    data: DataConfig = field(default_factory=DataConfig)
    processing: ClipProcessing = field(default_factory=ClipProcessing)
    rates: Rates = field(default_factory=Rates)
    loss: LossConfig = field(default_factory=LossConfig)
    query_frames: int = 3
    """Number of query frames of a clip, which follow the reference frame."""
    apply_updates: bool = False
    """Whether a query frame uses the target model updated on earlier query frames, as in the paper;
    the published training computed the updates but never used them."""
    initial_steps: int = 5
    """Learner steps on the reference frame in training."""
    update_steps: int = 2
    """Learner steps after each query frame in training."""
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    """Memory and random events between the frames of a clip."""
    trunk_weights: Path | None = None
    """File with initial weights of the trunk: a torchvision state dict or a maskrcnn-benchmark
    checkpoint for a ResNet, a state dict of efficientnet_lite_pytorch for an EfficientNet-Lite, or
    the weights of an LWL network with the same trunk."""
    validation_clips: int = 200
    """Number of clips of held-out videos for validation; 0 disables it."""
    licence: str = ""
    """Terms of use of the weights, as required by the training data; written to the model card. The
    default of a recipe describes the recipe's data: set it if you train on others."""
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        needs_box_encoder = self.loss.box_weight > 0 or self.rates.box_encoder > 0
        if needs_box_encoder and not self.model.network.box_encoder:
            raise ConfigError("training a box encoder requires model.network.box_encoder=true")
        needs_presence_head = self.loss.presence_weight > 0 or self.rates.presence_head > 0
        if needs_presence_head and not self.model.network.presence_head:
            raise ConfigError("training a presence head requires model.network.presence_head=true")
        require_range(self, "query_frames", least=1)
        require_range(self, "validation_clips", least=0)
