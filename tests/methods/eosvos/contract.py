"""e-OSVOS's part of the contract tests; see ``contract.parts``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from contract.small_clip import MASKS, VIDEO
from maskcast.core.training import LoopConfig, OptimiserConfig
from maskcast.methods.eosvos.presets import tiny
from maskcast.methods.eosvos.training.config import (
    InnerLoopConfig,
    MetaTrainingConfig,
    ParentTrainingConfig,
    TaskDataConfig,
)
from maskcast.methods.eosvos.training.meta_training import MetaTraining
from maskcast.methods.eosvos.training.parent_training import ParentFrame, ParentTraining
from maskcast.methods.eosvos.training.tasks import LabelledFrame, MetaTask, open_tasks

STATE_FIELDS = {
    "EOSVOSState": "objects",
    "TrackedObject": (
        "object_id given base round rounds map past previous_box start_box frames_since_start"
        " absences marked_absent presence"
    ),
    "AnnotatedFrame": "frame mask",
    "Round": "number frames",
}
TAGS = {f"Eq. ({number})" for number in range(1, 6)}

METHOD = replace(tiny(), inner_batch=1)
RADAM = LoopConfig(optimiser=OptimiserConfig(kind="radam"))


def meta_task() -> tuple[Any, Any]:
    config = MetaTrainingConfig(method=METHOD, inner=InnerLoopConfig(inner_steps=1), loop=RADAM)
    memory, query = (LabelledFrame(VIDEO[index], MASKS[index]) for index in range(2))
    return MetaTraining(config), [MetaTask((memory,), query, seed=1)]


def parent_task() -> tuple[Any, Any]:
    config = ParentTrainingConfig(method=replace(METHOD, rate_level="single"), loop=RADAM)
    return ParentTraining(config), [ParentFrame(VIDEO[0], MASKS[0], seed=1)]


TASKS = {"eosvos meta": meta_task, "eosvos parent": parent_task}
HALF_PRECISION: dict[str, float] = {}


def open_training_data(**data: Any) -> object:
    return open_tasks(TaskDataConfig(**data))
