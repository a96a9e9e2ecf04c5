"""Settings of A-GAME; the defaults are those of the published system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from maskcast.core.config import require_range, require_rising
from maskcast.core.errors import ConfigError

TrunkDepth: TypeAlias = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
AppearanceOutput: TypeAlias = Literal["scores", "posterior", "none"]
UpdateMask: TypeAlias = Literal["merged", "fine", "coarse"]
EntryFrame: TypeAlias = Literal["given", "predicted"]
PresenceRule: TypeAlias = Literal["off", "confidence"]

COMPONENTS = 4
"""Base background, base target, residual background, residual target."""


@dataclass(frozen=True, kw_only=True)
class AppearanceConfig:
    """The generative model of how object and background look."""

    output: AppearanceOutput = "scores"
    """What the fusion sees: log-densities; their soft-max (an ablation); or nothing (another)."""
    channels: int = 512
    """Dimensions of the space of x, in which appearance is modelled."""
    update_rate: float = 0.1
    """λ, from 0 to 1: weight of a new frame in the running model; 0 keeps the first frame's."""
    residual: bool = True
    """False models object and background with one component each."""
    estimate_variance: bool = True
    """False takes the learned floor for the variance."""
    initial_floor: float = -2.0
    """The learned variance floor r before training; what is added to a variance is softplus(r),
    0.13 for -2."""
    score_offsets: tuple[float, ...] = ()
    """Constants added to the scores of the four components; empty adds nothing."""
    score_scale: float = 1.0
    """Multiplies the scores that the fusion sees. Published: 1. They grow with the channels they
    are summed over; a network trained for a short time learns faster from smaller numbers."""
    learned_offsets: bool = False
    """Learn a further offset for each component."""
    initial_learned_offset: float = 0.0
    """What learned offsets are before training."""
    end_to_end: bool = True
    """False keeps gradients out of the estimation of means and variances (an ablation)."""

    def __post_init__(self) -> None:
        require_range(self, "channels", least=1, prefix="appearance.")
        require_range(self, "update_rate", least=0, most=1, prefix="appearance.")
        require_range(self, "score_scale", above=0, prefix="appearance.")
        if len(self.score_offsets) not in (0, COMPONENTS):
            raise ConfigError(
                f"appearance.score_offsets must have {COMPONENTS} values or none, got "
                f"{self.score_offsets}"
            )

    @property
    def components(self) -> int:
        """How many components an object's mixture has."""
        return COMPONENTS if self.residual else 2

    @property
    def output_channels(self) -> int:
        """How many channels the fusion gets from here."""
        return 0 if self.output == "none" else self.components


@dataclass(frozen=True, kw_only=True)
class PropagationConfig:
    """How the mask of the previous frame is carried over."""

    enabled: bool = True
    """False leaves segmentation to appearance alone (an ablation)."""
    first_frame: bool = True
    """Look at the object's first frame and mask too."""
    channels: int = 512
    """Of every layer, and of the result D."""

    def __post_init__(self) -> None:
        require_range(self, "channels", least=1, prefix="propagation.")

    @property
    def output_channels(self) -> int:
        """How many channels the fusion gets from here."""
        return self.channels if self.enabled else 0


@dataclass(frozen=True, kw_only=True)
class FusionConfig:
    """How appearance and propagation become one encoding, and a coarse mask."""

    hidden_channels: int = 512
    """Of the first layer, over scores S and propagated mask D."""
    channels: int = 128
    """Of the second layer, whose output is the encoding E."""
    coarse_kernel: Literal[1, 3] = 1
    """Side of the coarse predictor's kernel."""

    def __post_init__(self) -> None:
        require_range(self, "hidden_channels", "channels", least=1, prefix="fusion.")


@dataclass(frozen=True, kw_only=True)
class PresenceConfig:
    """Recognising that an object is not on a frame; not part of the paper.

    Confidence is the mean probability inside the mask that the object has before it is merged with
    the others. An absent object has an empty mask and leaves its pixels to the others; it is looked
    for on each frame.
    """

    rule: PresenceRule = "off"
    """How absence is recognised: not at all, as published, or by the confidence."""
    thresholds: tuple[float, float] = (0.8, 0.88)
    """Confidence, 0 to 1, below which an object becomes absent, and from which it is visible
    again."""
    remembered: int = 3
    """Number of frames, at the start of an absence, from which the background is learnt; later ones
    change nothing. Frames marked absent by a person always count."""

    def __post_init__(self) -> None:
        require_range(self, "thresholds", above=0, below=1, prefix="presence.")
        require_rising(self, "thresholds", prefix="presence.")
        require_range(self, "remembered", least=0, prefix="presence.")


@dataclass(frozen=True, kw_only=True)
class AgameConfig:
    """The network, and what it does at test time."""

    trunk: TrunkDepth = "resnet101"
    """Which ResNet sees the frames; the paper's is a ResNet-101."""
    trunk_classes: int = 1000
    """Classes of the trunk's ImageNet classifier, which is carried along unused as in the published
    weights; 0 leaves it out."""
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    propagation: PropagationConfig = field(default_factory=PropagationConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    decoder_channels: int = 128
    """Of the upsampling path, at strides 8 and 4."""
    update_mask: UpdateMask = "merged"
    """The mask a model is updated with: merged with those of the other objects, the object's own
    fine one, or its own coarse one. Training uses the coarse one."""
    process_first_frame: bool = False
    """Predict and update on the first frame too; its given masks are returned all the same."""
    entry_frame: EntryFrame = "given"
    """Handling of a mask that is given on a later frame: it is returned and used as it is, or the
    object is segmented on that frame too, as in the published code; then corrections and absence
    marks are rejected."""
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    working_side: int | None = None
    """Frames whose shorter side is longer than this, in pixels, are made so small before the
    network; none: never, as published. For networks that are trained on small frames."""

    def __post_init__(self) -> None:
        require_range(self, "working_side", least=16)
        if self.appearance.output == "none" and not self.propagation.enabled:
            raise ConfigError(
                "appearance.output is none and propagation.enabled is false; turn one of them on"
            )
        require_range(self, "decoder_channels", least=1)
        require_range(self, "trunk_classes", least=0)


def small() -> AgameConfig:
    """Return the network of ``agame-small``: a ResNet-18 and heads of a quarter of the width."""
    return AgameConfig(
        trunk="resnet18",
        trunk_classes=0,
        appearance=AppearanceConfig(channels=128, score_scale=0.05),
        propagation=PropagationConfig(channels=128),
        fusion=FusionConfig(hidden_channels=128, channels=64),
        decoder_channels=64,
        working_side=256,
    )


def tiny() -> AgameConfig:
    """Return the smallest network that still runs every part, for tests."""
    return AgameConfig(
        trunk="resnet18",
        trunk_classes=0,
        appearance=AppearanceConfig(channels=12),
        propagation=PropagationConfig(channels=8),
        fusion=FusionConfig(hidden_channels=8, channels=6),
        decoder_channels=5,
    )
