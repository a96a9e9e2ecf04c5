"""Settings of meta-training and parent training. Imports no torch."""

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
    """The inner loop in meta-training."""

    inner_steps: int = 5
    """T: fine-tuning steps of a task before its test loss."""
    segment: int = 5
    """Steps after which the test loss is computed and backpropagation is truncated
    (bptt_epochs)."""
    step_weights: tuple[float, ...] = ()
    """Weights c_t of the multi-step loss Σ c_t L_test(θ_t), one per step; empty uses only the last
    step."""
    second_order: bool = False
    """Whether second-order gradients are used for the heads; all other parts are first order."""

    def __post_init__(self) -> None:
        require_range(self, "inner_steps", "segment", least=1)
        if self.step_weights and len(self.step_weights) != self.inner_steps:
            raise ConfigError(
                f"step_weights must have one value per inner step ({self.inner_steps}), got "
                f"{len(self.step_weights)}"
            )

    def weight_after(self, step: int) -> float:
        """Return the weight of the test loss after step t, counted from 1; 0 skips it."""
        if self.step_weights:
            return self.step_weights[step - 1]
        return float(step % self.segment == 0 or step == self.inner_steps)

    def cut_after(self, step: int) -> bool:
        """Return whether backpropagation is truncated after step t."""
        return step % self.segment == 0 and step < self.inner_steps


@dataclass(frozen=True, kw_only=True)
class TaskDataConfig:
    """Folders of training data; those that are not set are not used."""

    youtube_vos: Path | None = None
    """Folder of YouTube-VOS, which contains ``train``."""
    youtube_vos_held_out: Path | None = None
    """File that lists the held-out videos, one name per line; by default they are drawn."""
    youtube_vos_hold_outs: tuple[int, int] = (100, 100)
    """Sizes of the two hold-outs that are drawn, with categories as balanced as possible."""
    davis: Path | None = None
    """Folder of DAVIS, which contains the list ``train``."""
    davis_year: Literal[2016, 2017] = 2017
    """Year of the lists and masks of DAVIS: 2016 has one object per video, 2017 several."""
    videos: tuple[Path, ...] = ()
    """Folders with one subfolder per video, which contains ``frames`` and ``masks``."""
    pictures: tuple[Path, ...] = ()
    """Folders that contain ``images`` and ``masks``, or folders of PASCAL VOC; a picture counts as
    a video of one frame."""
    held_out: tuple[str, ...] = ()
    """Names of videos in ``videos`` and ``davis`` that are used for validation only, never for
    training."""
    all_objects_as_one: bool = False
    """Whether all objects of a video form one object, as in DAVIS 2016."""


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """How the two frames of a task are drawn and augmented."""

    frames: Literal["independent", "same"] = "independent"
    """How memory and query frame are drawn. ``independent``: independently; ``same``: one frame,
    augmented twice, as the paper describes."""
    reach: int | None = None
    """Maximum distance of the query frame from the memory frame, in frames; None is unlimited."""
    colour: bool = True
    """Whether brightness, contrast and saturation change by up to 0.2, and hue by up to 0.1."""
    flip: bool = True
    """Whether both frames of a task are mirrored with probability 0.5."""
    warp: bool = True
    """Whether each frame is rotated by up to 30° and scaled by 0.75 to 1.25."""
    transforms: Literal["task", "step"] = "task"
    """Whether the augmentation of the memory frame is drawn once per task or for every inner step
    (random_frame_transform_per_task=false)."""
    object_groups: bool = False
    """Whether the object of a task is a random group of the video's objects
    (random_object_id_sub_group)."""
    label_flips: float = 0.0
    """Probability, in [0, 1], that object and background are swapped in a task
    (random_flip_label)."""
    empty_labels: float = 0.0
    """Probability, in [0, 1], that both frames of a task are labelled as empty
    (random_no_label)."""
    box_orders: bool = False
    """Whether the order of the four values that the box head regresses is drawn for each task
    (random_box_coord_perm)."""
    single_object_videos: Literal["keep", "paste"] = "keep"
    """Handling of videos with one object. ``keep``: unchanged; ``paste``: the object of another
    such video is pasted as background (single_obj_seq_mode)."""

    def __post_init__(self) -> None:
        require_range(self, "reach", least=0)
        require_range(self, "label_flips", "empty_labels", least=0, most=1)


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """The frames of held-out videos that are scored, and the fine-tuning before."""

    inner_steps: int = 10
    """Fine-tuning steps on the first frame of each held-out object."""
    batch: int = 1
    """Copies of the first frame per step."""
    spatial_augmentation: bool = False
    """Whether every copy is flipped, rotated and scaled at random, as at test time."""
    every: int = 1
    """Distance between segmented frames; the first frame is given and the last one not scored."""
    most_frames: int | None = None
    """Maximum number of frames per object, from the first on; None uses all."""

    def __post_init__(self) -> None:
        require_range(self, "inner_steps", least=0, prefix="validation.")
        require_range(self, "batch", "every", least=1, prefix="validation.")


def _refuse_compiling(loop: LoopConfig) -> None:
    if loop.compile:
        raise ConfigError(
            "e-OSVOS does not support loop.compile, because tensor shapes after the trunk change "
            "with every frame; disable it",
            options=("loop.compile",),
        )


@dataclass(frozen=True, kw_only=True)
class MetaTrainingConfig:
    """Settings of meta-training; the defaults are stage 1 of the published training."""

    method: EOSVOSConfig = field(default_factory=EOSVOSConfig)
    inner: InnerLoopConfig = field(default_factory=InnerLoopConfig)
    data: TaskDataConfig = field(default_factory=TaskDataConfig)
    tasks: TaskConfig = field(default_factory=TaskConfig)
    start_weights: Path | None = None
    """File with initial weights: COCO weights of torchvision's Mask R-CNN, or a state dict of a
    trunk or network with torchvision's names. Tensors that match in name and shape are loaded."""
    initial_rate: float = INITIAL_RATE
    """Mean of the initial learning rates λ; each is drawn from 0.5 to 1.5 times this value."""
    max_rate: float | None = None
    """Upper limit of λ; None has no upper limit. The lower limit is 0."""
    start_rate: float = 1e-5
    """Outer learning rate of θ⁰; 0 freezes it (learn_model_init=false)."""
    learn_trunk_start: bool = True
    """Whether θ⁰ of trunk and pyramid is learned; if not, only the inner steps change them
    (freeze_encoder)."""
    start_decay: float = 1e-3
    """Decoupled weight decay of θ⁰; λ has none."""
    rate_rate: float = 1e-5
    """Outer learning rate of λ; 0 freezes λ, as in stage 2 of the published training."""
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
    """Settings of parent training; the defaults are the published ones (Adam, 1e-4, batch 4)."""

    method: EOSVOSConfig = field(default_factory=EOSVOSConfig)
    data: TaskDataConfig = field(default_factory=TaskDataConfig)
    objects: Literal["merged", "each"] = "merged"
    """Targets of a frame. ``merged``: all objects form one target, as published; ``each``: every
    object is a separate target."""
    crop: tuple[int, int] | None = (480, 854)
    """Height and width of random crops in pixels, padded with black if the frame is smaller; None
    uses whole frames."""
    start_weights: Path | None = None
    """File with initial weights: COCO weights of torchvision's Mask R-CNN, or a state dict of a
    trunk or network with torchvision's names. Tensors that match in name and shape are loaded."""
    single_rate: float = 1e-3
    """Learning rate exported with the network; ``ladder rate`` searches for the best one."""
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
