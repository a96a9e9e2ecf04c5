"""What the e-OSVOS oracle tests run: oracle networks, and models that keep a record."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from maskcast.core.types import Frame, Mask
from maskcast.methods.eosvos.config import EOSVOSConfig, Reset
from maskcast.methods.eosvos.network import Detection
from maskcast.methods.eosvos.object_model import ObjectBox, ObjectModel, ObjectWeights
from maskcast.methods.eosvos.online_adaptation import AnnotatedFrame
from maskcast.methods.eosvos.segmenter import EOSVOSSegmenter
from oracle.plumbing import ORACLE


@cache
def weights(section: str = "", rules: str = "") -> dict[str, Tensor]:
    """Parameters of one section of the manifest; ``rules`` (JSON) replace those of the section."""
    spec = importlib.util.spec_from_file_location("oracle_weights", ORACLE / "weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    manifest = json.loads((ORACLE / "eosvos" / "manifest.json").read_text())
    chosen = manifest[section] if section else manifest
    arrays = module.oracle_state_dict(chosen, rules=json.loads(rules) if rules else ())
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


class RecordingModel(ObjectModel):
    """The real model; notes detected boxes and which frames every fine-tuning was given."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.frames: list[Frame] = []
        self.boxes: list[Tensor] = []
        self.batches: dict[int, list[list[int]]] = {}

    def fine_tune(
        self, weights: ObjectWeights, frames: Sequence[AnnotatedFrame], **named: Any
    ) -> ObjectWeights:
        numbers = [
            next(n for n, frame in enumerate(self.frames) if torch.equal(frame, item.frame))
            for item in frames
        ]
        object_id = int(named["what"].split()[-1])
        self.batches.setdefault(object_id, []).extend([numbers] * named["steps"])
        return super().fine_tune(weights, frames, **named)

    def detect(self, *args: Any, **named: Any) -> Detection:
        found = super().detect(*args, **named)
        self.boxes.append(found.box)
        return found


SIDE = 256
"""Of the frames that carry their number; the longest video that can be followed."""


def numbered_frame(number: int) -> tuple[Frame, Mask]:
    """A frame that carries its number in its colour, and a mask that carries it in its height."""
    assert number < SIDE
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[: number + 1, :5] = True
    return torch.full((3, SIDE, SIDE), number / SIDE), mask


class StandIn:
    """A model without a network: weights are the number of steps taken; it notes every call."""

    def __init__(self, lost: set[int]) -> None:
        self.lost = lost
        self.training_calls: list[dict[str, Any]] = []
        self.inference_calls: list[dict[str, Any]] = []

    def fine_tune(
        self,
        weights: ObjectWeights,
        frames: tuple[AnnotatedFrame, ...],
        *,
        steps: int,
        seed: int,
        augment: bool = False,
        what: str = "",
    ) -> ObjectWeights:
        taken = 0 if weights is None else int(weights)
        for step in range(steps):
            self.training_calls.append(
                {
                    "batch_frames": [round(float(i.frame[0, 0, 0]) * SIDE) for i in frames],
                    "label_from_frame": [int(i.mask.any(dim=1).sum()) - 1 for i in frames],
                    "sgd_steps_already_applied": taken + step,
                }
            )
        return torch.tensor([float(taken + steps)])

    def detect(
        self, weights: ObjectWeights, frame: Frame, box: ObjectBox | None, *, seed: tuple[int, ...]
    ) -> Detection:
        number = round(float(frame[0, 0, 0]) * SIDE)
        source = None if box is None else round(box[3]) - 1
        self.inference_calls.append({"frame": number, "propagated_mask_from_frame": source})
        _, mask = numbered_frame(number)
        found = 0.0 if number in self.lost else 0.9
        return Detection(mask * found, torch.zeros(4), found)


RESETS: Mapping[str | None, Reset] = {
    "FIRST_STEP": "first_step",
    "FULL": "full",
    None: "keep",
}


def follow_schedule(case: Mapping[str, Any]) -> StandIn:
    """Follow one object through a video of numbered frames; return what was asked of the model."""
    model = StandIn(set(case["frames_without_detection"]))
    config = EOSVOSConfig(
        inner_steps=case["initial_iterations"],
        inner_batch=case["train_batch"],
        spatial_augmentation=False,
        online_adaptation=case["ona_step"] > 0,
        adaptation_interval=case["ona_step"] or 1,
        adaptation_steps=case["ona_iterations"],
        adaptation_reset=RESETS[case["reset_model_mode"]],
    )
    segmenter = EOSVOSSegmenter(config, model, torch.device("cpu"))
    state = segmenter.start()
    for index in range(case["num_frames"]):
        frame, mask = numbered_frame(index)
        given = index in (case["annotated_frame"], *case.get("corrected_frames", ()))
        state, _ = segmenter.step(state, frame, {1: mask} if given else {})
    return model
