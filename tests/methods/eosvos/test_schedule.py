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
        "corrected_frames": [],
    }


def training_call(frames: list[int], steps: int) -> dict[str, Any]:
    return {
        "batch_frames": frames,
        "label_from_frame": frames,
        "sgd_steps_already_applied": steps,
    }


def calls_of(case: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Round by round: fine-tuning, then the frames of the round with the box they are given.

    On a corrected frame one round is run at once, in place of any other that begins there.
    """
    annotated, step, batch = case["annotated_frame"], case["ona_step"], case["train_batch"]
    frames, corrected = case["num_frames"], case["corrected_frames"]
    lost = set(case["frames_without_detection"])
    steps = case["initial_iterations"]
    resets = {"FIRST_STEP": steps, "FULL": 0, None: None}
    given = [annotated]
    training = [training_call(given * batch, done) for done in range(steps)]
    inference = []
    start_mask: int | None = annotated
    for first in range(annotated + 1, frames, step or frames):
        begins = first > annotated + 1
        previous = start_mask = (None if first - 1 in lost else first - 1) if begins else annotated
        for frame in range(first, min(first + (step or frames), frames)):
            if frame in corrected or (begins and frame == first):
                past: list[int] = []
                if frame in corrected:
                    given = [*given, frame]
                else:
                    past = [first - d for d in range(step - min(step, batch) + 1, step)]
                    past = [one for one in past if one not in lost and one not in given]
                reset = resets[case["reset_model_mode"]]
                steps = steps if reset is None else reset
                for _ in range(case["ona_iterations"]):
                    training.append(training_call([*given, *past], steps))
                    steps += 1
            if frame in corrected:
                start_mask = previous = frame
                continue
            source = start_mask if previous is None else previous
            inference.append({"frame": frame, "propagated_mask_from_frame": source})
            previous = None if frame in lost else frame
    return training, inference


@pytest.mark.parametrize("seed", range(24))
def test_rounds_batches_and_boxes(seed: int) -> None:
    case = random_case(seed)
    model = follow_schedule(case)
    assert (model.training_calls, model.inference_calls) == calls_of(case)


@pytest.mark.parametrize("seed", range(24))
def test_corrections_among_them(seed: int) -> None:
    case = random_case(seed)
    later = np.arange(case["annotated_frame"] + 1, case["num_frames"])
    chosen = later[np.random.default_rng(100 + seed).random(len(later)) < 0.2].tolist()
    found = set(case["frames_without_detection"]) - set(chosen)
    case |= {"corrected_frames": chosen, "frames_without_detection": sorted(found)}
    model = follow_schedule(case)
    assert (model.training_calls, model.inference_calls) == calls_of(case)
