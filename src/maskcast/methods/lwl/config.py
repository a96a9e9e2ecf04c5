"""Settings of LWL; the defaults are those of the paper and of the published ``lwl_stage2``."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Literal

from maskcast.core.config import require_choice, require_range
from maskcast.core.errors import ConfigError
from maskcast.methods.lwl.presence_config import PresenceConfig


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Architecture of the network."""

    trunk: Literal[
        "resnet18", "resnet34", "resnet50", "efficientnet-lite0", "efficientnet-lite2"
    ] = "resnet50"
    """Feature extractor for the frames; the paper uses a ResNet-50."""
    trunk_layout: Literal["mrcnn", "imagenet"] = "mrcnn"
    """Variant of a ResNet. ``mrcnn``: BGR in 0..255 minus the mean, bottlenecks downsample in their
    first 1×1 convolution. ``imagenet``: RGB normalised as for ImageNet, bottlenecks downsample in
    the 3×3 convolution. No effect on an EfficientNet-Lite."""
    trunk_padding: Literal["same", "symmetric"] = "same"
    """Padding of an EfficientNet-Lite. ``same``: that of TensorFlow, as published. ``symmetric``:
    that of a ResNet, which is faster and keeps features aligned for every input size."""
    feature_channels: int = 512
    """C, number of channels of the target-model features."""
    filters: int = 16
    """D, number of channels of the mask encoding; 1 if the label is the mask itself."""
    kernel_size: int = 3
    """K, side of the target model's filters; odd."""
    label: Literal["learned", "mask"] = "learned"
    """Target of the few-shot learner: a learned encoding, or the mask at stride 16."""
    weight: Literal["learned", "uniform"] = "learned"
    """Weights of the label's elements in the few-shot loss."""
    end_to_end: bool = True
    """Whether gradients pass through the learner in training."""
    label_widths: tuple[int, int, int] = (16, 32, 64)
    """Channels inside the label encoder."""
    decoder_widths: tuple[int, int, int, int] = (64, 128, 128, 256)
    """Channels of the decoder at layer1, layer2, layer3, layer4."""
    upsampler_width: int = 32
    """Channels of the decoder between half and full resolution."""
    upsampling: Literal["bicubic", "bilinear"] = "bicubic"
    """Upsampling of the decoder from stride 4; bilinear is far faster on a CPU."""
    initial_kappa: float = 0.01
    """κ before training; the weight of the regulariser is κ²."""
    box_encoder: bool = False
    """Whether the network has a box encoder, which makes a first mask from a box."""
    box_width: int = 64
    """Channels inside the box encoder."""
    presence_head: bool = False
    """Whether the network predicts whether an object is visible; not in the paper."""
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
    """The frames in the memory and their temporal weights."""

    size: int = 32
    """Maximum number of frames in the memory; the one with the lowest weight is replaced first."""
    update_rate: float = 0.1
    """1 - η, weight of the newest frame; the weights of older frames decay by η per frame."""
    minimum_first_weight: float = 0.25
    """Minimum total weight of annotated frames; 0 lets them decay and be replaced like others."""
    equal_second_weight: bool = False
    """Whether the second frame enters with the weight of the first."""
    gamma_weighs: Literal["residual", "loss"] = "residual"
    """What γ multiplies. ``residual``: the residual, so that a frame has the weight γ² in the loss,
    as published. ``loss``: the frame's loss, as the paper prints."""
    decay_from_first: bool = False
    """Whether weights decay by η from the first frame on, as the paper prints. As published, the
    first frame gets 1 / (η (1 - η)) times the weight of the second."""
    keep_first_frame: bool = False
    """Whether the frame where an object starts is never replaced, as the paper prints. As
    published, it stays only if minimum_first_weight is above 0."""
    absent_share: float = 0.25
    """Total weight of all frames without the object, relative to 1 for all others; not in the
    paper."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Data type of the features in the memory. ``bfloat16`` takes half the space. The learner then
    computes in it on devices that support it natively, which is faster; masks hardly change."""

    def __post_init__(self) -> None:
        require_choice(self, "dtype", "gamma_weighs")
        require_range(self, "size", least=1, prefix="memory.")
        require_range(self, "update_rate", above=0, below=1, prefix="memory.")
        require_range(self, "minimum_first_weight", least=0, below=1, prefix="memory.")
        require_range(self, "absent_share", least=0, most=1, prefix="memory.")
        if self.decay_from_first and self.equal_second_weight:
            raise ConfigError(
                "memory.decay_from_first and memory.equal_second_weight exclude each other",
                options=("memory.decay_from_first", "memory.equal_second_weight"),
            )


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """How the target model is fitted to the memory."""

    initial_steps: int = 20
    """Steepest-descent steps on the frame where an object starts."""
    update_steps: int = 3
    """Steepest-descent steps per update on later frames; 0 freezes the target model."""
    update_every: int = 1
    """Interval between updates in frames; 1 updates on every frame."""

    def __post_init__(self) -> None:
        require_range(self, "initial_steps", "update_every", least=1, prefix="learner.")
        require_range(self, "update_steps", least=0, prefix="learner.")


@dataclass(frozen=True, kw_only=True)
class CropConfig:
    """The crop of the frame that is the network's input."""

    size: tuple[int, int] = (480, 832)
    """Height and width of the network's input in pixels."""
    search_area: float = 5.0
    """Ratio of the side of the crop to the side of the object, both as geometric means."""
    scale_change: tuple[float, float] = (0.95, 1.1)
    """Minimum and maximum factor by which the size of the crop changes from frame to frame."""
    minimum_mass: float = 100.0
    """Sum of an object's probabilities over all pixels below which it counts as out of sight; the
    crop then stays in place."""
    exact_paste: bool = False
    """Whether masks are pasted exactly where their crop was cut. The published code pastes them up
    to one pixel too far up and left."""
    box_view: Literal["frame", "crop"] = "frame"
    """Input for making a mask from a box: the whole frame, as published, or a crop around the box,
    in which the object is as large as in training at every resolution of the video."""
    disjoint_boxes: bool = False
    """Whether masks made from boxes on one frame are merged before the objects learn from them, so
    that a pixel in several boxes belongs to one object. As published, each is made alone."""

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
class SpeedConfig:
    """Settings that affect speed; results stay the same up to rounding unless noted."""

    batch_objects: bool = True
    """Whether the objects of a frame are segmented in one batch; on a CPU in several small ones,
    and one by one at full size."""
    share_crop: bool = False
    """Whether all objects of a frame share one crop and one trunk pass; changes the result."""
    channels_last: bool = True
    """Whether tensors use the channels-last memory format, which is faster with most kernels."""
    fold_batch_norm: bool = True
    """Whether every BatchNorm is folded into the convolution before it."""
    compile: bool = False
    """Whether trunk and decoder are compiled; worthwhile for videos of several hundred frames."""
    cuda_graphs: bool = False
    """Whether networks are recorded as CUDA graphs (takes GPU memory); other devices ignore it."""


@dataclass(frozen=True, kw_only=True)
class LWLConfig:
    """Everything that determines a result, apart from the weights."""

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
