"""Settings of A-GAME's training; nothing here imports torch."""

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
"""In the order in which an epoch takes them."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Folders with data, and how an epoch is drawn from them."""

    davis: Path | None = None
    """DAVIS 2017, its train split."""
    youtube_vos: Path | None = None
    """YouTube-VOS 2018, its train split; some videos are held out for validation."""
    youtube_vos_hold_out: Path | None = None
    """List of the videos that are held out; if not given, drawn from a fixed seed."""
    youtube_vos_hold_out_size: int = YOUTUBE_VOS_HOLD_OUT
    """How many are drawn, of all videos; of these too, only those of 720×1280 are used."""
    synthetic: tuple[Path, ...] = ()
    """Folders with ``images`` and ``masks``, or PASCAL VOC's: their objects, moved over
    ``backgrounds``."""
    backgrounds: tuple[Path, ...] = ()
    """Folders of photographs for backgrounds; without them backgrounds are synthetic."""
    videos: tuple[Path, ...] = ()
    """Folders that hold a folder for each video, with ``frames`` and ``masks``."""
    pictures: tuple[Path, ...] = ()
    """The same; but here object and scene of a picture move apart."""
    held_out: tuple[str, ...] = ()
    """Names of videos in ``videos`` and ``davis`` that are never trained on, but validated with."""
    all_objects_as_one: bool = False
    """Treat all objects of a video as one."""
    decoded: Path | None = None
    """Folder for decoded pictures, several times faster to read, and for what was counted in them;
    it may become large."""
    epoch: Literal["pass", "balanced", "draws"] = "pass"
    """pass: every video once; balanced: twice as many snippets as the first source has videos,
    without replacement, each source about equally often; draws: with replacement, by weight."""
    draws: int = 2600
    """Snippets of an epoch of draws; synthetic ones of an epoch that is a pass."""
    davis_weight: float = 1.0
    """How often DAVIS is drawn from in an epoch of draws, beside the weights of the others."""
    youtube_vos_weight: float = 1.0
    """The same for YouTube-VOS."""
    synthetic_weight: float = 1.0
    """The same for synthetic clips."""
    videos_weight: float = 1.0
    """The same for the videos of ``videos``."""
    pictures_weight: float = 1.0
    """The same for clips made from ``pictures``."""

    def __post_init__(self) -> None:
        require_range(self, "draws", least=1, prefix="data.")
        names = [f"{name}_weight" for name in SOURCES]
        require_range(self, *names, least=0, prefix="data.")
        if not any(getattr(self, name) for name in names):
            raise ConfigError(f"one of {', '.join(names)} must be positive")

    @property
    def given(self) -> tuple[str, ...]:
        """The sources that are given, in a fixed order."""
        return tuple(name for name in SOURCES if getattr(self, name))


@dataclass(frozen=True, kw_only=True)
class SnippetConfig:
    """Shape of snippets, and how they are changed; the defaults are those of stage 1."""

    size: tuple[int, int] = (240, 432)
    """(height, width), multiples of 16. Frames are resized to it, whatever their aspect."""
    length: int = 8
    """Frames."""
    longest_step: int = 1
    """Every snippet takes each first, second, … frame, drawn up to this one. Published: 1."""
    visible_pixels: int = 100
    """A snippet begins where some object has more pixels than this, before resizing."""
    flip: float = 0.5
    """Probability that a snippet is mirrored."""
    zoom: bool = False
    """Zoom progressively into half of the snippets."""

    def __post_init__(self) -> None:
        if min(self.size) < 16 or self.size[0] % 16 or self.size[1] % 16:
            raise ConfigError(f"size must be positive multiples of 16, got {self.size}")
        require_range(self, "length", least=2)
        require_range(self, "longest_step", least=1)
        require_range(self, "visible_pixels", least=0)
        require_range(self, "flip", least=0, most=1)


@dataclass(frozen=True, kw_only=True)
class AgameTrainingConfig:
    """A recipe; the defaults are stage 1 of the published training."""

    model: AgameConfig = field(default_factory=AgameConfig)
    data: DataConfig = field(default_factory=DataConfig)
    snippets: SnippetConfig = field(default_factory=SnippetConfig)
    auxiliary: float = 1.0
    """Weight of the loss on coarse predictions; 0 leaves it out."""
    recompute: bool = False
    """Compute the heads again in the backward pass: less memory, more time, same gradients."""
    trunk_weights: Path | None = None
    """A torchvision state dict (safetensors, or a torch file) to start the trunk from."""
    trained_stages: int = 1
    """How many of the trunk's stages are trained, from the last one down."""
    batch_statistics: bool = True
    """Batch normalisation of trained stages by the statistics of the batch; else the trunk keeps
    those it came with."""
    validation_length: int = 32
    """Frames of a held-out snippet."""
    validation_snippets: int = 300
    """The most held-out snippets that are looked at."""
    licence: str = ""
    """What the data allow the weights to be used for; goes on their card."""
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        require_range(self, "auxiliary", "validation_snippets", least=0)
        require_range(self, "trained_stages", least=0, most=4)
        require_range(self, "validation_length", least=2)
