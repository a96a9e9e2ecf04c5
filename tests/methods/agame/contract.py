"""A-GAME's part of the contract tests; see ``contract.parts``."""

from __future__ import annotations

from typing import Any

import torch

from contract.small_clip import MASKS, PICTURES
from maskcast.methods.agame.presets import tiny
from maskcast.methods.agame.training.config import AgameTrainingConfig, DataConfig, SnippetConfig
from maskcast.methods.agame.training.data import TrainingSources
from maskcast.methods.agame.training.task import AgameTask, SnippetBatch

STATE_FIELDS = {
    "AgameState": "ids objects first_frames frame_index absent_for",
    "TrackedObjects": "mixture previous_mask part_of_first_frame first_mask",
    "Mixture": "means variances",
}
TAGS = {
    f"map: {tag}" for tag in ("mixture", "scores", "moments", "components", "update", "merging")
}


def task() -> tuple[Any, Any]:
    config = AgameTrainingConfig(model=tiny(), recompute=True)
    return AgameTask(config), SnippetBatch(torch.stack([PICTURES] * 2), torch.stack([MASKS] * 2))


TASKS = {"agame": task}
HALF_PRECISION = {"agame": 2.0**10}


def open_training_data(**data: Any) -> object:
    return TrainingSources.open(DataConfig(**data), SnippetConfig(), validation_length=2)
