"""The score of a held-out object: which frames count, and what is left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskcast.core.types import ObjectMasks
from maskcast.methods.eosvos.inner_loop import learned_start_of
from maskcast.methods.eosvos.training import validation
from maskcast.methods.eosvos.training.config import (
    MetaTrainingConfig,
    TaskDataConfig,
    ValidationConfig,
)
from maskcast.methods.eosvos.training.tasks import open_tasks

from .. import small
from .videos import write_video


@pytest.fixture
def videos(tmp_path):
    write_video(tmp_path / "one", frames=6, seed=1)
    write_video(tmp_path / "two", frames=6, objects=2, seed=2)
    return open_tasks(TaskDataConfig(videos=(tmp_path,), held_out=("one",)))


class Given:
    """Finds the first mask again on every frame; notes which frames it saw."""

    def __init__(self):
        self.seen = []

    def start(self):
        return None

    def step(self, state, frame, prompts):
        self.seen.append(dict(prompts))
        mask = prompts.get(1, state)
        return mask, ObjectMasks((1,), mask[None].float())

    def remove_objects(self, state, ids):
        return state


def expected_similarity(index):
    """Overlap of the square with itself 3 pixels further right on each frame; frame 2 is empty."""
    shared = max(0, 18 - 3 * index)
    return 0.0 if index == 2 else shared / (36 - shared)


def test_first_and_last_frame_are_not_scored(videos):
    (entry,) = videos.held_out
    model = Given()
    found = validation.object_similarity(model, entry.video, 1, ValidationConfig())
    assert found == pytest.approx(np.mean([expected_similarity(n) for n in (1, 2, 3, 4)]))
    assert [len(prompts) for prompts in model.seen] == [1, 0, 0, 0, 0, 0]


def test_fewer_frames_can_be_asked_for(videos):
    (entry,) = videos.held_out
    config = ValidationConfig(every=2, most_frames=2)
    found = validation.object_similarity(Given(), entry.video, 1, config)
    assert found == pytest.approx(expected_similarity(2))  # frames 0, 2 and 4; 4 is the last


def test_it_takes_ten_steps_on_each_first_frame_and_leaves_the_start_alone(videos, monkeypatch):
    told = []
    real = validation.ObjectModel.fine_tune

    def spy(self, weights, frames, **named):
        told.append((len(frames), named["steps"], named["augment"]))
        return real(self, weights, frames, **{**named, "steps": 1})

    monkeypatch.setattr(validation.ObjectModel, "fine_tune", spy)
    learned = learned_start_of(small.network())
    before = [p.clone() for p in learned.parameters()]
    config = MetaTrainingConfig().validation
    objects = validation.objects_of(videos.training)
    assert [(own.video.name, own.object_id) for own in objects] == [("two", 1), ("two", 2)]
    method = small.method(inner_steps=3, inner_batch=2)
    found = validation.fine_tuned_similarity(method, learned, objects[1], config)
    assert told == [(1, 10, False)]
    assert 0 <= found <= 1
    for one, other in zip(before, learned.parameters(), strict=True):
        assert torch.equal(one, other) and other.requires_grad
