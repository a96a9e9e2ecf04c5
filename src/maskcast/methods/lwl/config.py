"""Settings of LWL; the defaults are those of the paper and of the published ``lwl_stage2``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf
from typing import Literal

from maskcast.core.config import require_choice, require_range, require_rising
from maskcast.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What the network is made of."""

    trunk: Literal[
        "resnet18", "resnet34", "resnet50", "efficientnet-lite0", "efficientnet-lite2"
    ] = "resnet50"
    """Which network sees the frames; the paper's is a ResNet-50."""
    trunk_layout: Literal["mrcnn", "imagenet"] = "mrcnn"
    """Variant of a ResNet. ``mrcnn``: BGR 0..255 minus the mean, a bottleneck halves in its first
    1×1 convolution; ``imagenet``: RGB with mean and deviation of ImageNet, halved in the 3×3
    convolution. Has no effect on an EfficientNet-Lite, which always takes RGB with mean and
    deviation 0.5."""
    trunk_padding: Literal["same", "symmetric"] = "same"
    """Padding of an EfficientNet-Lite: TensorFlow's, as published, or as in a ResNet, which is
    faster and keeps features in place whatever the size. Has no effect on a ResNet."""
    feature_channels: int = 512
    """C, channels of the target-model features."""
    filters: int = 16
    """D, channels of the mask encoding; 1 where the label is the mask itself."""
    kernel_size: int = 3
    """K, side of the target model's filters; odd."""
    label: Literal["learned", "mask"] = "learned"
    """What the target model is asked to predict: an encoding, or the mask at stride 16."""
    weight: Literal["learned", "uniform"] = "learned"
    """How much each element of the label counts in the few-shot loss."""
    end_to_end: bool = True
    """Let gradients pass through the learner in training."""
    label_widths: tuple[int, int, int] = (16, 32, 64)
    """Channels inside the label encoder."""
    decoder_widths: tuple[int, int, int, int] = (64, 128, 128, 256)
    """Channels of the decoder at layer1, layer2, layer3, layer4."""
    upsampler_width: int = 32
    """Channels of the decoder between half and full resolution."""
    upsampling: Literal["bicubic", "bilinear"] = "bicubic"
    """How the decoder enlarges from stride 4 to full resolution; bilinear costs a CPU far less."""
    initial_kappa: float = 0.01
    """κ before training; the regulariser's weight is κ²."""
    box_encoder: bool = False
    """Whether a first mask can be made from a box."""
    box_width: int = 64
    """Channels inside the box encoder."""
    presence_head: bool = False
    """Whether the network judges if an object is visible; not part of the paper."""
    presence_width: int = 32
    """Hidden units of the presence head."""

    def __post_init__(self) -> None:
        widths = ("feature_channels", "filters", "label_widths", "decoder_widths")
        require_range(self, *widths, least=1, prefix="network.")
        units = ("upsampler_width", "box_width", "presence_width")
        require_range(self, *units, least=1, prefix="network.")
        require_range(self, "initial_kappa", above=-inf, below=inf, prefix="network.")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ConfigError(
                f"network.kernel_size must be odd and positive, got {self.kernel_size}",
                options=("network.kernel_size",),
            )
        if self.label == "mask" and (self.filters != 1 or self.weight != "uniform"):
            raise ConfigError(
                "network.label=mask requires network.filters=1 and network.weight=uniform, got "
                f"{self.filters} and {self.weight}"
            )


@dataclass(frozen=True, kw_only=True)
class MemoryConfig:
    """Which frames are remembered, and how much each of them counts."""

    size: int = 32
    """Frames kept; the lowest-weighted one leaves first."""
    update_rate: float = 0.1
    """1 - η: share of the newest frame; older ones fade by η per frame."""
    minimum_first_weight: float = 0.25
    """Share which annotated frames keep for ever; 0: they fade and leave like any other."""
    equal_second_weight: bool = False
    """Let the second frame weigh as much as the first when it enters, rather than η : 1 - η
    ("lower initial weight")."""
    absent_share: float = 0.25
    """Share of all remembered frames without the object together, beside 1 for the other frames.
    Not in the paper."""

    def __post_init__(self) -> None:
        require_range(self, "size", least=1, prefix="memory.")
        require_range(self, "update_rate", above=0, below=1, prefix="memory.")
        require_range(self, "minimum_first_weight", least=0, below=1, prefix="memory.")
        require_range(self, "absent_share", least=0, most=1, prefix="memory.")


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """How the target model is fitted to the memory."""

    initial_steps: int = 20
    """Steepest-descent steps on the frame where an object is given."""
    update_steps: int = 3
    """Steps on later frames; 0 freezes the target model."""
    update_every: int = 1
    """Run the learner on every n-th frame only."""

    def __post_init__(self) -> None:
        require_range(self, "initial_steps", "update_every", least=1, prefix="learner.")
        require_range(self, "update_steps", least=0, prefix="learner.")


@dataclass(frozen=True, kw_only=True)
class CropConfig:
    """The part of the frame that the network sees."""

    size: tuple[int, int] = (480, 832)
    """Height and width of the network's input."""
    search_area: float = 5.0
    """Side of the crop over side of the object, as a geometric mean."""
    scale_change: tuple[float, float] = (0.95, 1.1)
    """How much the crop may shrink and grow from one frame to the next."""
    minimum_mass: float = 100.0
    """Pixels of probability below which an object counts as out of sight and the crop rests."""
    exact_paste: bool = False
    """Paint masks exactly where their crop was cut; the published code is up to a pixel off, up
    and to the left."""
    box_view: Literal["frame", "crop"] = "frame"
    """What is looked at for the mask in a box: the whole frame, as published; or a crop around the
    box, so that an object is as large as in training, whatever the resolution of the video."""

    def __post_init__(self) -> None:
        require_range(self, "size", least=32, prefix="crop.")
        require_range(self, "search_area", "minimum_mass", above=0, prefix="crop.")
        low, high = self.scale_change
        if not 0 < low <= 1 <= high:
            raise ConfigError(
                f"crop.scale_change must be (low, high) with 0 < low <= 1 <= high, got "
                f"{self.scale_change}",
                options=("crop.scale_change",),
            )


@dataclass(frozen=True, kw_only=True)
class PresenceConfig:
    """Recognising that an object is not on a frame; not part of the paper.

    An absent object has an empty mask and is looked for where it was seen last.
    """

    rule: Literal["off", "confidence", "likeness", "head", "head-and-likeness"] = "off"
    """How absence is recognised: not at all, as published; by the mean confidence inside the mask;
    by that and the similarity to the first frame; by the network's presence head; or only where the
    last two agree."""
    thresholds: tuple[float, float] = (0.8, 0.88)
    """Mean confidence, 0 to 1, below which an object becomes absent, and from which it is visible
    again."""
    likeness_from: float = 0.6
    """Similarity to the first frame, 0 to 1, from which an object stays visible although its mean
    confidence is below the first threshold, and that an absent object needs as well to be visible
    again. Used by ``likeness`` only, like the next setting."""
    certain_below: tuple[float, float] = (0.6, 0.25)
    """Mean confidence and similarity, 0 to 1, below which one of them alone makes an object
    absent."""
    head_thresholds: tuple[float, float] = (0.5, 0.5)
    """The same as ``thresholds`` for the probability that the presence head gives."""
    remembered: int = 3
    """First frames of an absence that are remembered, with an empty mask."""
    remembered_up_to: float = 0.6
    """Mean confidence, 0 to 1, up to which they are remembered; 1: all."""
    search: Literal["exit", "frame"] = "exit"
    """Where an absent object is looked for: in the view in which it was seen last; or, besides, in
    one further view per frame, each time at another place of the frame."""

    def __post_init__(self) -> None:
        require_choice(self, "rule", "search")
        limits = ("thresholds", "head_thresholds", "likeness_from", "certain_below")
        require_range(self, *limits, above=0, below=1, prefix="presence.")
        require_rising(self, "thresholds", "head_thresholds", prefix="presence.")
        require_range(self, "remembered", least=0, prefix="presence.")
        require_range(self, "remembered_up_to", least=0, most=1, prefix="presence.")

    @property
    def uses_head(self) -> bool:
        """Whether the rule asks the network's presence head."""
        return self.rule in ("head", "head-and-likeness")


@dataclass(frozen=True, kw_only=True)
class SpeedConfig:
    """What trades speed for nothing, or for something."""

    batch_objects: bool = True
    """Segment the objects of a frame in one call."""
    share_crop: bool = False
    """One crop and one trunk pass for all objects of a frame; changes the result."""
    channels_last: bool = True
    """Store images with the channels of a pixel side by side, as most kernels like them best."""
    fold_batch_norm: bool = True
    """Fold every BatchNorm into the convolution before it."""
    compile: bool = False
    """Compile trunk and decoder; pays off after some hundred frames."""


@dataclass(frozen=True, kw_only=True)
class LWLConfig:
    """Everything that decides a result, apart from the weights."""

    network: NetworkConfig = field(default_factory=NetworkConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    crop: CropConfig = field(default_factory=CropConfig)
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    speed: SpeedConfig = field(default_factory=SpeedConfig)

    def __post_init__(self) -> None:
        if self.presence.uses_head and not self.network.presence_head:
            raise ConfigError(
                f"presence.rule={self.presence.rule} needs a network with a presence head; use "
                "likeness, confidence or off",
                options=("presence.rule",),
            )


def ytvos() -> LWLConfig:
    """Return the settings of the published mask network (parameter set ``ytvos``)."""
    return LWLConfig()


def boxinit() -> LWLConfig:
    """Return the settings of the published box network (parameter set ``boxinit``)."""
    return LWLConfig(
        network=NetworkConfig(box_encoder=True),
        learner=LearnerConfig(update_steps=5, update_every=5),
        memory=MemoryConfig(update_rate=0.2, minimum_first_weight=0.0, equal_second_weight=True),
    )


def small() -> LWLConfig:
    """Return the settings of ``lwl-small``, for laptops: a ResNet-18 and a narrow decoder."""
    return LWLConfig(
        network=NetworkConfig(
            trunk="resnet18",
            trunk_layout="imagenet",
            feature_channels=256,
            decoder_widths=(32, 64, 96, 96),
            upsampler_width=16,
            upsampling="bilinear",
            box_encoder=True,
        ),
        learner=LearnerConfig(update_steps=5, update_every=2),
        memory=MemoryConfig(update_rate=0.2),
        crop=CropConfig(size=(288, 496), search_area=3.0, exact_paste=True, box_view="crop"),
    )


def small_lite(
    trunk: Literal["efficientnet-lite0", "efficientnet-lite2"] = "efficientnet-lite0",
) -> LWLConfig:
    """Return the settings of the small network with an EfficientNet-Lite in place of ResNet-18."""
    first = small()
    return replace(
        first,
        network=replace(first.network, trunk=trunk, trunk_padding="symmetric"),
        memory=replace(first.memory, size=12),
    )


def tiny() -> LWLConfig:
    """Return the smallest settings that still run every part; for tests."""
    return LWLConfig(
        network=NetworkConfig(
            trunk="resnet18",
            trunk_layout="imagenet",
            feature_channels=16,
            filters=4,
            label_widths=(4, 4, 8),
            decoder_widths=(8, 8, 8, 8),
            upsampler_width=4,
            box_encoder=True,
            box_width=8,
        ),
        learner=LearnerConfig(initial_steps=3, update_steps=1),
        memory=MemoryConfig(size=3),
        crop=CropConfig(size=(64, 96), minimum_mass=4.0),
    )
