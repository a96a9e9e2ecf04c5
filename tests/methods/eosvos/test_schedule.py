"""What is learned from and looked for when, against the rules written down once more as a loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oracle.eosvos_networks import RESETS, follow_schedule


def random_case(seed: int) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    frames, annotated = int(draw.integers(2, 24)), int(draw.integers(0, 2))
    later = np.arange(annotated + 1, frames)
    return {
        "num_frames": frames,
        "annotated_frame": annotated,
        "ona_step": int(draw.choice([0, 1, 2, 3, 5, 7])),
        "train_batch": int(draw.integers(1, 6)),
        "initial_iterations": int(draw.integers(1, 4)),
        "ona_iterations": int(draw.integers(1, 4)),
        "reset_model_mode": list(RESETS)[seed % len(RESETS)],
        "frames_without_detection": later[draw.random(len(later)) < 0.3].tolist(),
    }


def training_call(frames: list[int], steps: int) -> dict[str, Any]:
    return {
        "batch_frames": frames,
        "label_from_frame": frames,
        "sgd_steps_already_applied": steps,
    }


def calls_of(case: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Round by round: fine-tuning, then the frames of the round with the box they are given."""
    given, step, batch = case["annotated_frame"], case["ona_step"], case["train_batch"]
    frames, lost = case["num_frames"], set(case["frames_without_detection"])
    first_steps = steps = case["initial_iterations"]
    training = [training_call([given] * batch, done) for done in range(first_steps)]
    inference = []
    start_mask: int | None = given
    for first in range(given + 1, frames, step or frames):
        if first > given + 1:
            past = [first - d for d in range(step - min(step, batch) + 1, step)]
            learned = [given, *(frame for frame in past if frame not in lost)]
            steps = {"FIRST_STEP": first_steps, "FULL": 0, None: steps}[case["reset_model_mode"]]
            for _ in range(case["ona_iterations"]):
                training.append(training_call(learned, steps))
                steps += 1
            start_mask = None if first - 1 in lost else first - 1
        previous = start_mask
        for frame in range(first, min(first + (step or frames), frames)):
            source = start_mask if previous is None else previous
            inference.append({"frame": frame, "propagated_mask_from_frame": source})
            previous = None if frame in lost else frame
    return training, inference


@pytest.mark.parametrize("seed", range(24))
def test_rounds_batches_and_boxes(seed: int) -> None:
    case = random_case(seed)
    model = follow_schedule(case)
    assert (model.training_calls, model.inference_calls) == calls_of(case)
