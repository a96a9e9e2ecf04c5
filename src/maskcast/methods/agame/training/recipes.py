"""Training recipes of A-GAME: the published stages, the same on one data set, a small network."""

from __future__ import annotations

from dataclasses import replace

from maskcast.core.training import LoopConfig, OptimiserConfig, Recipe, ScheduleConfig, Task
from maskcast.data.hold_out_names import SMALL_HOLD_OUT_REAL
from maskcast.data.licences import SMALL_REAL_DATA
from maskcast.methods.agame.presets import small
from maskcast.methods.agame.training.config import AgameTrainingConfig, DataConfig, SnippetConfig


def stage1() -> AgameTrainingConfig:
    """Stage 1: small frames and both losses, on DAVIS 2017 and YouTube-VOS."""
    return AgameTrainingConfig(loop=_loop(epochs=160, batch_size=4, factor=0.975))


def stage2() -> AgameTrainingConfig:
    """Stage 2: larger frames, longer snippets and only the fine loss; starts from stage 1."""
    return AgameTrainingConfig(
        data=DataConfig(epoch="balanced"),
        snippets=SnippetConfig(size=(480, 864), length=14),
        auxiliary=0.0,
        loop=_loop(epochs=100, batch_size=2, factor=0.985, rate=1e-5, weight_decay=1e-6),
    )


def davis_stage1() -> AgameTrainingConfig:
    """Stage 1 on DAVIS 2017 alone, with progressive zoom."""
    return replace(
        stage1(),
        data=DataConfig(epoch="draws", draws=2600),
        snippets=SnippetConfig(zoom=True),
        loop=_loop(epochs=80, batch_size=4, factor=0.95),
    )


def davis_stage2() -> AgameTrainingConfig:
    """Stage 2 on DAVIS 2017 alone."""
    return replace(stage2(), data=DataConfig(epoch="draws", draws=118))


def youtube_stage2() -> AgameTrainingConfig:
    """Stage 2 on YouTube-VOS alone, with as many snippets as with DAVIS.

    LWL's Table 2 lists A-GAME's G of 66.1 as a result of this training data. The settings are
    unpublished; these are our choice.
    """
    return davis_stage2()


def small_recipe() -> AgameTrainingConfig:
    """Train the small network on real videos and single pictures.

    It starts from an EfficientNet-Lite0, best that of ``lwl-small``, whose file ``trunk_weights``
    accepts.
    """
    return AgameTrainingConfig(
        model=small(),
        data=DataConfig(epoch="draws", held_out=SMALL_HOLD_OUT_REAL),
        snippets=SnippetConfig(size=(192, 320), length=5, longest_step=4, visible_pixels=50),
        trained_stages=2,
        batch_statistics=False,
        validation_length=12,
        licence=SMALL_REAL_DATA,
        loop=LoopConfig(
            epochs=18,
            iterations=150,
            batch_size=4,
            optimiser=OptimiserConfig(kind="adamw", rate=3e-4, weight_decay=1e-4),
            schedule=ScheduleConfig(kind="cosine", final=0.01, warm_up=100),
            precision="bf16",
            clip_norm=1.0,
            average_decay=0.995,
            validate_every=3,
            workers=1,
            best_metric="iou",
        ),
    )


def _loop(
    *, epochs: int, batch_size: int, factor: float, rate: float = 1e-4, weight_decay: float = 1e-5
) -> LoopConfig:
    return LoopConfig(
        epochs=epochs,
        batch_size=batch_size,
        optimiser=OptimiserConfig(kind="adam", rate=rate, weight_decay=weight_decay),
        schedule=ScheduleConfig(kind="exponential", factor=factor),
        checkpoint_every=10,
        best_metric="iou",
    )


def _build(config: AgameTrainingConfig) -> Task:
    from maskcast.methods.agame.training.task import AgameTask  # noqa: PLC0415 - imports torch

    return AgameTask(config)


def _recipe(title: str, config: AgameTrainingConfig) -> Recipe[AgameTrainingConfig]:
    return Recipe(title, config, _build)


RECIPES: dict[str, Recipe[AgameTrainingConfig]] = {
    "agame-stage1": _recipe("published stage 1: DAVIS 2017 and YouTube-VOS at 240×432", stage1()),
    "agame-stage2": _recipe("published stage 2 at 480×864, from agame-stage1", stage2()),
    "agame-davis-stage1": _recipe("stage 1 on DAVIS 2017 only", davis_stage1()),
    "agame-davis-stage2": _recipe(
        "stage 2 on DAVIS 2017 only, from agame-davis-stage1", davis_stage2()
    ),
    "agame-youtube-stage1": _recipe("stage 1 on YouTube-VOS only (no data.davis)", stage1()),
    "agame-youtube-stage2": _recipe(
        "stage 2 on YouTube-VOS only, from agame-youtube-stage1", youtube_stage2()
    ),
    "agame-small": _recipe("a small network with a small trunk", small_recipe()),
}
