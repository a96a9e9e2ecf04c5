"""Settings of LWL's training; nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from maskcast.core.config import require_range
from maskcast.core.errors import ConfigError
from maskcast.core.training import LoopConfig
from maskcast.data.hold_out_names import YOUTUBE_VOS_HOLD_OUT
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.training.clip_settings import ClipProcessing, ClipSampling


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Folders with data and how often each kind is drawn from; a kind with weight 0 is not used."""

    youtube_vos: Path | None = None
    """YouTube-VOS with its ``train`` folder."""
    youtube_vos_weight: float = 6.0
    """How often YouTube-VOS is drawn from, beside the other weights; 0: never."""
    youtube_vos_hold_out: Path | None = None
    """List of the videos that are held out; if not given, drawn from a fixed seed."""
    youtube_vos_hold_out_size: int = YOUTUBE_VOS_HOLD_OUT
    """How many are drawn."""
    davis: Path | None = None
    """DAVIS 2017 with its ``train`` list."""
    davis_weight: float = 1.0
    """How often DAVIS is drawn from, beside the other weights; 0: never."""
    coco: Path | None = None
    """COCO with ``annotations/instances_<coco_split>.json``; a clip is one instance, its frame
    repeated."""
    coco_split: str = "train2014"
    """Names the annotations and the folder of pictures."""
    coco_weight: float = 0.0
    """How often COCO is drawn from; 0: never."""
    videos: tuple[Path, ...] = ()
    """Folders that hold a folder for each video, with ``frames`` and ``masks``."""
    videos_weight: float = 0.0
    """How often ``videos`` are drawn from; 0: never."""
    rendered: tuple[Path, ...] = ()
    """Folders of rendered videos, as ``videos``; each object is always a target of its own."""
    rendered_weight: float = 0.0
    """How often ``rendered`` videos are drawn from; 0: never."""
    pictures: tuple[Path, ...] = ()
    """Folders with ``images`` and ``masks``, or PASCAL VOC's: made into clips by moving object and
    scene apart."""
    pictures_weight: float = 0.0
    """How often clips are made from ``pictures``; 0: never."""
    scenes: tuple[Path, ...] = ()
    """Folders of photographs: backgrounds of synthetic clips."""
    made_up_weight: float = 0.0
    """Weight of synthetic clips, which show objects of ``pictures`` if these are given; 0: none."""
    cutouts: tuple[Path, ...] = ()
    """Folders of RGBA pictures of objects, which are pasted into clips made from ``pictures``, and
    are objects of synthetic clips."""
    cutouts_share: float = 0.5
    """Share of the pasted objects that are ``cutouts``, where there are ``pictures`` too."""
    synthetic_absent: float = 0.0
    """Probability that the object of a synthetic clip, or of a clip made from a picture, leaves the
    frame or is hidden on some test frames."""
    held_out: tuple[str, ...] = ()
    """Names of videos in ``videos``, ``rendered`` and ``davis`` that are never trained on, but
    validated with."""
    decoded: Path | None = None
    """Folder for decoded pictures, several times faster to read; it may become large."""
    all_objects_as_one: bool = False
    """Treat all objects of a video as one, except in ``rendered`` videos."""
    sampling: ClipSampling = field(default_factory=ClipSampling)
    """Which frames of a video make a clip."""

    def __post_init__(self) -> None:
        weights = [name for name in self.__dataclass_fields__ if name.endswith("_weight")]
        require_range(self, *weights, least=0, prefix="data.")
        if not any(getattr(self, name) for name in weights):
            raise ConfigError(f"one of {', '.join(weights)} must be positive")
        require_range(self, "cutouts_share", above=0, below=1, prefix="data.")
        require_range(self, "synthetic_absent", least=0, most=1, prefix="data.")


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Learning rate of each part; a part with rate 0 is frozen. Defaults are those of stage 1."""

    kappa: float = 1e-4
    """κ, whose square weighs the regulariser."""
    features: float = 2e-5
    """The convolution that makes the target model's features."""
    decoder: float = 1e-4
    """All of the decoder."""
    label_encoder: float = 2e-4
    """Label encoder and weight predictor."""
    trunk: float = 0.0
    """layer2, layer3 and layer4 (strides 8, 16 and 32), with the affine parameters of their
    BatchNorms; what comes before them is always frozen."""
    box_encoder: float = 0.0
    """The box encoder, where the network has one."""
    presence_head: float = 0.0
    """The presence head, where the network has one."""

    def __post_init__(self) -> None:
        require_range(self, *self.__dataclass_fields__, least=0, prefix="rates.")
        if not any(getattr(self, name) for name in self.__dataclass_fields__):
            raise ConfigError("one of the rates must be positive")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimised: a weighted sum of Lovász losses and, if wanted, cross-entropies."""

    mask_weight: float = 100.0
    """Of the Lovász loss on the query frames; 0: no query frame is segmented."""
    box_weight: float = 0.0
    """Of the Lovász loss on the reference frame, segmented from its box."""
    presence_weight: float = 0.0
    """Of the presence head's cross-entropies; they train nothing but the head."""
    over: Literal["batch", "frame"] = "batch"
    """One Jaccard over the batch, as published; or the mean of one per frame, Eq. (5)."""
    cross_entropy: float = 0.0
    """Share of binary cross-entropy added to each Lovász loss; helps a network that starts from
    nothing, for which Lovász alone is slow. Not in the paper."""
    lovasz_on_absent: bool = True
    """With one Jaccard per frame, whether frames without the object count in the Lovász loss,
    which there is the error of the worst pixel; False leaves them to the cross-entropy."""
    box_frames: Literal["reference", "all"] = "reference"
    """Frames that are segmented from their boxes where no query frame is segmented from the
    reference frame's mask; ``all`` takes every frame on which the object is visible."""
    box_regression: float = 0.0
    """Of the box encoder's relative squared distance from the label encoder's output, beside
    its Lovász loss; only where no query frame is segmented."""

    def __post_init__(self) -> None:
        weights = ("mask_weight", "box_weight", "presence_weight")
        require_range(self, *weights, "cross_entropy", "box_regression", least=0, prefix="loss.")
        if not any(getattr(self, name) for name in weights):
            raise ConfigError(f"one of {', '.join(weights)} must be positive")


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """What happens between the frames of a clip; the defaults are those of ``lwl-small`` 0.1."""

    gammas_as_at_test: bool = False
    """Weigh remembered frames as the memory does at test time, instead of all alike."""
    last_update_only: bool = False
    """Stop gradients before each update of the target model, so that they pass through its last
    one only; saves memory on long clips."""
    negatives: int = 0
    """Absent frames of a clip that are remembered, with an empty mask; later ones are not
    remembered. 0: every frame is remembered with its own prediction."""
    known_absence: float = 1.0
    """Probability that the ground truth says which frame is absent, in training; otherwise the
    presence head does, or the mean confidence where there is no head."""
    absent_below: float = 0.0
    """Mean confidence inside the mask below which an object counts as absent, where the network
    has no presence head."""
    corrections: float = 0.0
    """Probability that a query frame is remembered with its true mask, as a correction."""
    box_starts: float = 0.0
    """Probability that a clip starts from the soft mask of its box instead of the true mask;
    only where that mask has an IoU of at least 0.5."""

    def __post_init__(self) -> None:
        probabilities = ("known_absence", "absent_below", "corrections", "box_starts")
        require_range(self, *probabilities, least=0, most=1, prefix="rollout.")
        require_range(self, "negatives", least=0, prefix="rollout.")


@dataclass(frozen=True, kw_only=True)
class LWLTrainingConfig:
    """A recipe; the defaults are stage 1 of the published training."""

    model: LWLConfig = field(default_factory=LWLConfig)
    data: DataConfig = field(default_factory=DataConfig)
    processing: ClipProcessing = field(default_factory=ClipProcessing)
    rates: Rates = field(default_factory=Rates)
    loss: LossConfig = field(default_factory=LossConfig)
    query_frames: int = 3
    """Frames of a clip that are segmented, after the reference frame."""
    apply_updates: bool = False
    """Segment each query frame with the target model updated on those before it, as the paper
    says; the published training computed the updates and never used them."""
    initial_steps: int = 5
    """Steps of the learner on the reference frame, in training."""
    update_steps: int = 2
    """Steps of the learner after each query frame, in training."""
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    """What happens between the frames of a clip."""
    trunk_weights: Path | None = None
    """File to start the trunk from: a torchvision state dict or a maskrcnn-benchmark checkpoint for
    a ResNet, the state dict of efficientnet_lite_pytorch for an EfficientNet-Lite, or the weights
    of an LWL network with the same trunk."""
    validation_clips: int = 200
    """Clips of held-out videos to validate with; 0: none."""
    licence: str = ""
    """What the data allow the weights to be used for; goes on their card."""
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
