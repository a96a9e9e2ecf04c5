"""Settings of A-GAME's training. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from maskcast.core.config import require_range
from maskcast.core.errors import ConfigError
from maskcast.core.training import LoopConfig
from maskcast.data.hold_out_names import YOUTUBE_VOS_HOLD_OUT
from maskcast.methods.agame.config import AgameConfig

SOURCES = ("davis", "youtube_vos", "synthetic", "videos", "pictures")
"""Names of the data sources, in the order in which an epoch uses them."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Folders of training data, and how an epoch is drawn from them."""

    davis: Path | None = None
    """Folder of DAVIS 2017; its train split is used."""
    youtube_vos: Path | None = None
    """Folder of YouTube-VOS 2018; its train split is used, with some videos held out for
    validation."""
    youtube_vos_hold_out: Path | None = None
    """File that lists the held-out videos; by default they are drawn with a fixed seed."""
    youtube_vos_hold_out_size: int = YOUTUBE_VOS_HOLD_OUT
    """Number of held-out videos to draw from all videos; only those of 720×1280 are used."""
    synthetic: tuple[Path, ...] = ()
    """Folders that contain ``images`` and ``masks``, or folders of PASCAL VOC, whose objects move
    over ``backgrounds`` in synthetic clips."""
    backgrounds: tuple[Path, ...] = ()
    """Folders of photographs, used as backgrounds; by default backgrounds are synthetic."""
    videos: tuple[Path, ...] = ()
    """Folders with one subfolder per video, which contains ``frames`` and ``masks``."""
    pictures: tuple[Path, ...] = ()
    """Folders that contain ``images`` and ``masks``, or folders of PASCAL VOC. A clip is made from
    a picture by moving object and background independently."""
    held_out: tuple[str, ...] = ()
    """Names of videos in ``videos`` and ``davis`` that are used for validation only, never for
    training."""
    all_objects_as_one: bool = False
    """Whether all objects of a video form one object."""
    decoded: Path | None = None
    """Folder in which to cache decoded pictures, which are several times faster to read, and pixel
    counts; it may become large."""
    epoch: Literal["pass", "balanced", "draws"] = "pass"
    """Snippets of an epoch. ``pass``: one of every video. ``balanced``: twice as many as the first
    source has videos, without replacement, about equally many from each source. ``draws``: with
    replacement, by weight."""
    draws: int = 2600
    """Number of snippets of a ``draws`` epoch, or of synthetic snippets of another epoch."""
    davis_weight: float = 1.0
    """Sampling weight of DAVIS in a ``draws`` epoch, relative to the other weights."""
    youtube_vos_weight: float = 1.0
    """Sampling weight of YouTube-VOS in a ``draws`` epoch."""
    synthetic_weight: float = 1.0
    """Sampling weight of synthetic clips in a ``draws`` epoch."""
    videos_weight: float = 1.0
    """Sampling weight of ``videos`` in a ``draws`` epoch."""
    pictures_weight: float = 1.0
    """Sampling weight of clips made from ``pictures`` in a ``draws`` epoch."""

    def __post_init__(self) -> None:
        require_range(self, "draws", least=1, prefix="data.")
        names = [f"{name}_weight" for name in SOURCES]
        require_range(self, *names, least=0, prefix="data.")
        if not any(getattr(self, name) for name in names):
            raise ConfigError(f"at least one of {', '.join(names)} must be positive")

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that are set, in a fixed order."""
        return tuple(name for name in SOURCES if getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class SnippetConfig:
    """Shape and augmentation of snippets; the defaults are those of stage 1."""

    size: tuple[int, int] = (240, 432)
    """Height and width in pixels, multiples of 16. Frames are resized to it without keeping their
    aspect ratio."""
    length: int = 8
    """Number of frames of a snippet; at least 2."""
    longest_step: int = 1
    """Maximum distance between successive frames of a snippet; the distance is drawn for each
    snippet, from 1. Published: 1."""
    visible_pixels: int = 100
    """Number of pixels that some object must exceed on the first frame, before resizing."""
    flip: float = 0.5
    """Probability, in [0, 1], that a snippet is mirrored."""
    zoom: bool = False
    """Whether half of the snippets are zoomed progressively."""

    def __post_init__(self) -> None:
        if min(self.size) < 16 or self.size[0] % 16 or self.size[1] % 16:
            raise ConfigError(f"size must be positive multiples of 16, got {self.size}")
        require_range(self, "length", least=2)
        require_range(self, "longest_step", least=1)
        require_range(self, "visible_pixels", least=0)
        require_range(self, "flip", least=0, most=1)


@dataclass(frozen=True, kw_only=True)
class AgameTrainingConfig:
    """Settings of a training recipe; the defaults are stage 1 of the published training."""

    model: AgameConfig = field(default_factory=AgameConfig)
    data: DataConfig = field(default_factory=DataConfig)
    snippets: SnippetConfig = field(default_factory=SnippetConfig)
    auxiliary: float = 1.0
    """Weight of the loss of coarse predictions; 0 disables it."""
    recompute: bool = False
    """Whether the heads are recomputed in the backward pass, which takes less memory and more time;
    gradients are the same."""
    trunk_weights: Path | None = None
    """File with initial weights of the trunk: a torchvision state dict (safetensors or a torch
    file)."""
    trained_stages: int = 1
    """Number of stages of the trunk that are trained, counted from the last one down."""
    batch_statistics: bool = True
    """Whether trained stages normalise by the statistics of the batch; if not, by those of the
    initial weights."""
    validation_length: int = 32
    """Number of frames of a held-out snippet."""
    validation_snippets: int = 300
    """Maximum number of held-out snippets for validation."""
    licence: str = ""
    """Terms of use of the weights, as required by the training data; written to the model card. The
    default of a recipe describes the recipe's data: set it if you train on others."""
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        require_range(self, "auxiliary", "validation_snippets", least=0)
        require_range(self, "trained_stages", least=0, most=4)
        require_range(self, "validation_length", least=2)
