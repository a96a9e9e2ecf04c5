"""Settings of A-GAME; the defaults are those of the published system."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from maskcast.core.config import require_range, require_rising
from maskcast.core.errors import ConfigError

TrunkChoice: TypeAlias = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "efficientnet-lite0",
    "efficientnet-lite2",
]
AppearanceOutput: TypeAlias = Literal["scores", "posterior", "none"]
UpdateMask: TypeAlias = Literal["merged", "fine", "coarse"]
EntryFrame: TypeAlias = Literal["given", "predicted"]
PresenceRule: TypeAlias = Literal["off", "confidence"]

COMPONENTS = 4
"""Base background, base target, residual background, residual target."""


@dataclass(frozen=True, kw_only=True)
class AppearanceConfig:
    """Settings of the generative appearance model."""

    output: AppearanceOutput = "scores"
    """Input of the fusion from the appearance model. ``scores``: log-densities; ``posterior``:
    their softmax (an ablation); ``none``: no input (an ablation)."""
    channels: int = 512
    """Number of channels of x, the features whose distribution is modelled."""
    update_rate: float = 0.1
    """λ, in [0, 1]: weight of a new frame in the running model; 0 keeps the model of the first
    frame."""
    residual: bool = True
    """Whether there are residual components; if not, object and background have one component
    each."""
    estimate_variance: bool = True
    """Whether variances are estimated; if not, they are the learned floor."""
    initial_floor: float = -2.0
    """Variance floor r before training; softplus(r) is added to each variance, 0.13 for r = -2."""
    score_offsets: tuple[float, ...] = ()
    """Constants added to the scores of the four components; empty adds nothing."""
    score_scale: float = 1.0
    """Factor of the scores before the fusion; published: 1. Scores are sums over all channels, and
    in a short training smaller values learn faster."""
    learned_offsets: bool = False
    """Whether each component has a learned offset too."""
    initial_learned_offset: float = 0.0
    """Value of the learned offsets before training."""
    end_to_end: bool = True
    """Whether gradients pass through the estimation of means and variances; false is an
    ablation."""

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
        """Number of components of an object's mixture."""
        return COMPONENTS if self.residual else 2

    @property
    def output_channels(self) -> int:
        """Number of channels that the fusion reads from this part."""
        return 0 if self.output == "none" else self.components


@dataclass(frozen=True, kw_only=True)
class PropagationConfig:
    """Settings of the propagation of the previous mask."""

    enabled: bool = True
    """Whether masks are propagated; false segments by appearance alone (an ablation)."""
    first_frame: bool = True
    """Whether the first frame and mask of the object are an input too."""
    channels: int = 512
    """Number of channels of every layer and of the result D."""

    def __post_init__(self) -> None:
        require_range(self, "channels", least=1, prefix="propagation.")

    @property
    def output_channels(self) -> int:
        """Number of channels that the fusion reads from this part."""
        return self.channels if self.enabled else 0


@dataclass(frozen=True, kw_only=True)
class FusionConfig:
    """Settings of the fusion of appearance and propagation."""

    hidden_channels: int = 512
    """Number of channels of the first layer, which reads scores S and propagated mask D."""
    channels: int = 128
    """Number of channels of the second layer, whose output is the encoding E."""
    coarse_kernel: Literal[1, 3] = 1
    """Kernel size of the coarse predictor."""

    def __post_init__(self) -> None:
        require_range(self, "hidden_channels", "channels", least=1, prefix="fusion.")


@dataclass(frozen=True, kw_only=True)
class PresenceConfig:
    """Detection of frames on which an object is not visible; not in the paper.

    The confidence is the mean probability inside the object's mask before objects are merged. An
    absent object has an empty mask, and its pixels belong to the other objects. It is searched for
    on every frame.
    """

    rule: PresenceRule = "off"
    """How absence is detected. ``off``: not at all, as published. ``confidence``: by the
    confidence."""
    thresholds: tuple[float, float] = (0.8, 0.88)
    """Confidence, in [0, 1], below which a visible object becomes absent, and from which an absent
    one becomes visible."""
    remembered: int = 3
    """Number of frames at the start of an absence that update the background; later ones change
    nothing. Frames that the user marked as absent always update it."""

    def __post_init__(self) -> None:
        require_range(self, "thresholds", above=0, below=1, prefix="presence.")
        require_rising(self, "thresholds", prefix="presence.")
        require_range(self, "remembered", least=0, prefix="presence.")


@dataclass(frozen=True, kw_only=True)
class AgameConfig:
    """Settings of the network and of its use at test time."""

    trunk: TrunkChoice = "resnet101"
    """Feature extractor for the frames; the paper uses a ResNet-101."""
    trunk_classes: int = 1000
    """Number of classes of the trunk's ImageNet classifier, which is part of the published weights
    but unused; 0 leaves it out."""
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    propagation: PropagationConfig = field(default_factory=PropagationConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    decoder_channels: int = 128
    """Number of channels of the upsampling path, at strides 8 and 4."""
    update_mask: UpdateMask = "merged"
    """Mask that updates an object's model. ``merged``: the fine mask after merging with the other
    objects; ``fine``: the object's own fine mask; ``coarse``: its own coarse mask, as in
    training."""
    process_first_frame: bool = False
    """Whether the network also predicts and updates on the first frame; the given masks are
    returned in any case."""
    entry_frame: EntryFrame = "given"
    """Handling of a mask that is given on a later frame. ``given``: it is returned unchanged.
    ``predicted``: the object is segmented on that frame, as in the published code; corrections and
    absence marks are then rejected."""
    presence: PresenceConfig = field(default_factory=PresenceConfig)
    working_side: int | None = None
    """Maximum length, in pixels, of the shorter side of the network's input; larger frames are
    reduced to it. None never reduces frames, as published. For networks trained on small frames."""

    def __post_init__(self) -> None:
        require_range(self, "working_side", least=16)
        if self.appearance.output == "none" and not self.propagation.enabled:
            raise ConfigError(
                "appearance.output is none and propagation.enabled is false; enable one of them"
            )
        require_range(self, "decoder_channels", least=1)
        require_range(self, "trunk_classes", least=0)
