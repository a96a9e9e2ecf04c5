"""Settings of both kinds of training; nothing here needs torchvision."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from maskcast.core.config import require_range
from maskcast.core.errors import ConfigError
from maskcast.core.training import LoopConfig, OptimiserConfig
from maskcast.methods.eosvos.config import INITIAL_RATE, EOSVOSConfig


@dataclass(frozen=True, kw_only=True)
class InnerLoopConfig:
    """The inner loop while it is being learned."""

    inner_steps: int = 5
    """T: fine-tuning steps of a task, before its test loss."""
    segment: int = 5
    """The trajectory is cut and the test loss taken after every so many steps (bptt_epochs)."""
    step_weights: tuple[float, ...] = ()
    """c_t of the multi-step loss Σ c_t L_test(θ_t), one per step; empty: the last step only."""
    second_order: bool = False
    """Follow the inner gradients of the heads too; the rest stays first order."""

    def __post_init__(self) -> None:
        require_range(self, "inner_steps", "segment", least=1)
        if self.step_weights and len(self.step_weights) != self.inner_steps:
            raise ConfigError(
                f"step_weights must have one value per inner step ({self.inner_steps}), got "
                f"{len(self.step_weights)}"
            )

    def weight_after(self, step: int) -> float:
        """Weight of the test loss after step t, counted from 1; 0: not taken."""
        if self.step_weights:
            return self.step_weights[step - 1]
        return float(step % self.segment == 0 or step == self.inner_steps)

    def cut_after(self, step: int) -> bool:
        """Whether the trajectory forgets how it came here after step t."""
        return step % self.segment == 0 and step < self.inner_steps


@dataclass(frozen=True, kw_only=True)
class TaskDataConfig:
    """Where tasks come from. What is not given is not used."""

    youtube_vos: Path | None = None
    """Folder with YouTube-VOS's ``train``."""
    youtube_vos_held_out: Path | None = None
    """List of its videos to leave out, one name a line; without it they are drawn."""
    youtube_vos_hold_outs: tuple[int, int] = (100, 100)
    """Sizes of the two hold-outs that are drawn, categories as even as they can be."""
    davis: Path | None = None
    """Folder of DAVIS with its ``train`` list."""
    davis_year: Literal[2016, 2017] = 2017
    """Whose lists and masks: one object per video, or every object its own."""
    videos: tuple[Path, ...] = ()
    """Folders that hold a folder per video, with ``frames`` and ``masks``."""
    pictures: tuple[Path, ...] = ()
    """Folders with ``images`` and ``masks``, or PASCAL VOC's; a picture counts as a video of one
    frame."""
    held_out: tuple[str, ...] = ()
    """Videos of ``videos`` or ``davis`` to validate with instead."""
    all_objects_as_one: bool = False
    """All labels of a video form one object, as in DAVIS 2016."""


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """How the two frames of a task are drawn and changed."""

    frames: Literal["independent", "same"] = "independent"
    """Two frames drawn independently; or one, augmented separately (the paper's wording)."""
    reach: int | None = None
    """Largest distance of the query frame from the memory frame, in frames; none: the video."""
    colour: bool = True
    """Brightness, contrast and saturation by up to 0.2, hue by up to 0.1."""
    flip: bool = True
    """Mirror both frames of a task with probability one half."""
    warp: bool = True
    """Turn each frame by up to 30° and scale it by 0.75 to 1.25."""
    transforms: Literal["task", "step"] = "task"
    """Colour, flip, turn and scale of the memory frame are drawn for the whole task, or anew for
    every inner step (random_frame_transform_per_task=false)."""
    object_groups: bool = False
    """The object of a task is a random group of the video's objects, taken as one
    (random_object_id_sub_group)."""
    label_flips: float = 0.0
    """Chance that object and background trade places in a task (random_flip_label)."""
    empty_labels: float = 0.0
    """Chance that both frames of a task are labelled empty (random_no_label)."""
    box_orders: bool = False
    """The box head regresses its four values in an order drawn for each task
    (random_box_coord_perm)."""
    single_object_videos: Literal["keep", "paste"] = "keep"
    """paste: beside the one object of a video stands one of another such video, as background
    (single_obj_seq_mode)."""

    def __post_init__(self) -> None:
        require_range(self, "reach", least=0)
        require_range(self, "label_flips", "empty_labels", least=0, most=1)


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """Which frames of the held-out videos are scored, and after how much fine-tuning."""

    inner_steps: int = 10
    """Fine-tuning steps on the first frame of each held-out object."""
    batch: int = 1
    """Copies of the first frame per step."""
    spatial_augmentation: bool = False
    """Flip, turn and scale every copy afresh, as at test time."""
    every: int = 1
    """Segment every so many frames; the first frame is given, the last one not scored."""
    most_frames: int | None = None
    """Frames per object at most, from the first on; none: all."""

    def __post_init__(self) -> None:
        require_range(self, "inner_steps", least=0, prefix="validation.")
        require_range(self, "batch", "every", least=1, prefix="validation.")


def _refuse_compiling(loop: LoopConfig) -> None:
    if loop.compile:
        raise ConfigError(
            "e-OSVOS does not support loop.compile: shapes behind its trunk change with every "
            "frame; turn it off",
            options=("loop.compile",),
        )


@dataclass(frozen=True, kw_only=True)
class MetaTrainingConfig:
    """A recipe; the defaults are stage 1 of the published training."""

    method: EOSVOSConfig = field(default_factory=EOSVOSConfig)
    inner: InnerLoopConfig = field(default_factory=InnerLoopConfig)
    data: TaskDataConfig = field(default_factory=TaskDataConfig)
    tasks: TaskConfig = field(default_factory=TaskConfig)
    start_weights: Path | None = None
    """COCO weights of torchvision's Mask R-CNN, or any state dict of a trunk or network in
    torchvision's names; what agrees in name and shape is taken."""
    initial_rate: float = INITIAL_RATE
    """What the learned rates begin around: each is drawn from half to one and a half times it."""
    max_rate: float | None = None
    """Rates are kept at or below it; none: only at or above 0."""
    start_rate: float = 1e-5
    """Outer learning rate of θ⁰; 0 leaves it as it starts (learn_model_init=false)."""
    learn_trunk_start: bool = True
    """False: θ⁰ of trunk and pyramid stays as it starts, while the inner steps move them all the
    same (freeze_encoder)."""
    start_decay: float = 1e-3
    """Decoupled weight decay of θ⁰; λ has none."""
    rate_rate: float = 1e-5
    """Outer learning rate of λ; 0 freezes the rates, as in the stage per data set."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            batch_size=4, epochs=100, optimiser=OptimiserConfig(kind="radam")
        )
    )

    def __post_init__(self) -> None:
        _refuse_compiling(self.loop)
        require_range(self, "start_rate", "rate_rate", "start_decay", least=0)
        require_range(self, "initial_rate", above=0)
        if self.start_rate == self.rate_rate == 0:
            raise ConfigError("start_rate or rate_rate must be greater than 0")


@dataclass(frozen=True, kw_only=True)
class ParentTrainingConfig:
    """A recipe; the defaults are the published parent training (Adam, rate 1e-4, batch 4)."""

    method: EOSVOSConfig = field(default_factory=EOSVOSConfig)
    data: TaskDataConfig = field(default_factory=TaskDataConfig)
    objects: Literal["merged", "each"] = "merged"
    """All objects of a frame form one foreground, as published; or each is a target of its own."""
    crop: tuple[int, int] | None = (480, 854)
    """Height and width of random crops, black where the frame is smaller; none: whole frames."""
    start_weights: Path | None = None
    """COCO weights of torchvision's Mask R-CNN, or any state dict of a trunk or network in
    torchvision's names; what agrees in name and shape is taken."""
    single_rate: float = 1e-3
    """The one learning rate that is exported with the network; ``ladder rate`` finds a good one."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(batch_size=4, epochs=500))

    def __post_init__(self) -> None:
        _refuse_compiling(self.loop)
        if self.method.rate_level != "single":
            raise ConfigError(
                "method.rate_level must be single for a parent network, got "
                f"{self.method.rate_level}",
                options=("method.rate_level",),
            )
        require_range(self, "crop", least=1)
