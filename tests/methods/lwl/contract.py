"""LWL's part of the contract tests; see ``contract.parts``."""

from __future__ import annotations

from typing import Any

import torch

from contract.small_clip import MASKS, PICTURES
from maskcast.methods.lwl.presets import tiny
from maskcast.methods.lwl.training.config import DataConfig, LossConfig, LWLTrainingConfig
from maskcast.methods.lwl.training.data import TrainingSources
from maskcast.methods.lwl.training.task import ClipBatch, LWLTask

STATE_FIELDS = {
    "LWLState": "targets",
    "Target": "object_id memory tau view seen frames latest first absent_frames unlearnt "
    "everywhere usual_likeness",
    "Memory": "slots gammas newest absences",
    "Slot": "x label weight annotated",
    "Sighting": "position size",
    "View": "position scale base_size",
}
TAGS = {f"Eq. ({number})" for number in range(1, 6)}


def task() -> tuple[Any, Any]:
    loss = LossConfig(box_weight=1.0, cross_entropy=0.5)
    boxes = torch.tensor([2.0, 1.0, 7.0, 7.0]).expand(3, 2, 4)
    images, masks = torch.stack([PICTURES] * 2, 1), torch.stack([MASKS] * 2, 1)
    clips = ClipBatch(images, masks, boxes, torch.ones(3, 2, dtype=torch.int8))
    config = LWLTrainingConfig(model=tiny(), loss=loss, query_frames=2, apply_updates=True)
    return LWLTask(config), clips


TASKS = {"lwl": task}
HALF_PRECISION = {"lwl": 2.0**11}


def open_training_data(**data: Any) -> object:
    kinds = ("youtube_vos", "davis", "videos")
    weights = {f"{kind}_weight": float(kind in data) for kind in kinds}
    return TrainingSources.open(DataConfig(**weights, **data), query_frames=1)
