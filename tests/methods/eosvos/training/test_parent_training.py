"""Parent training: targets, crops, what it exports, and the search for its rate."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maskcast.core.errors import ConfigError, PromptError
from maskcast.methods.eosvos.inner_loop import learned_start_of
from maskcast.methods.eosvos.training.config import (
    ParentTrainingConfig,
    TaskDataConfig,
    ValidationConfig,
)
from maskcast.methods.eosvos.training.parent_training import (
    GRID,
    ParentTraining,
    make_instance_target,
    random_crop,
    search_rate,
)
from maskcast.methods.eosvos.training.tasks import open_tasks

from .. import small
from .videos import write_video


@pytest.fixture
def config(tmp_path):
    write_video(tmp_path / "one", objects=2, seed=1)
    write_video(tmp_path / "apart", frames=4, seed=3)
    return ParentTrainingConfig(
        method=small.method(rate_level="single"),
        data=TaskDataConfig(videos=(tmp_path,), held_out=("apart",)),
        crop=(40, 80),
    )


def test_objects_are_merged_or_each_for_itself(config):
    item = ParentTraining(config).dataset(0)[0]
    merged = ParentTraining(config)._target(item.label_map)
    each = ParentTraining(replace(config, objects="each"))._target(item.label_map)
    assert len(merged["boxes"]) == 1
    assert len(each["boxes"]) == len(item.label_map.unique()) - 1
    assert torch.equal(each["masks"].amax(dim=0), merged["masks"][0])


def test_every_id_becomes_an_object_of_its_own():
    target = make_instance_target(torch.tensor([[3, 0, 7], [3, 255, 7]]))
    assert target["boxes"].tolist() == [[0, 0, 1, 2], [2, 0, 3, 2]]
    assert target["labels"].tolist() == [1, 1]
    with pytest.raises(PromptError, match="empty"):
        make_instance_target(torch.zeros(4, 4, dtype=torch.int64))


def test_crops_have_one_size_and_black_borders(config):
    item = ParentTraining(config).dataset(0)[0]
    assert item.frame.shape == (3, 40, 80)
    frame, label = random_crop(
        torch.ones(3, 6, 5), torch.ones(6, 5, dtype=torch.uint8), (4, 8), torch.Generator()
    )
    assert frame.shape == (3, 4, 8)
    assert frame[:, :, :5].all() and not frame[:, :, 5:].any() and not label[:, 5:].any()


def test_frames_without_an_object_are_passed_over(config):
    items = ParentTraining(config).dataset(0)
    assert len(items) == 6
    assert all(((items[n].label_map > 0) & (items[n].label_map < 255)).any() for n in range(12))
    assert torch.equal(items[3].frame, ParentTraining(config).dataset(0)[3].frame)


def test_it_learns_and_exports_a_start_with_one_rate(config):
    task = ParentTraining(config)
    batch = task.collate([task.dataset(0)[n] for n in range(2)])
    optimiser = torch.optim.Adam(task.parameter_groups()[0]["params"], 1e-3)
    losses = []
    for _ in range(6):
        optimiser.zero_grad()
        loss = task.loss(batch)["total"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(ConfigError, match="lower precision"):
        task.loss(batch)
    exported = task.export()
    assert exported.tensors["log_init_lr"].tolist() == [[pytest.approx(1e-3)]]
    assert task.validation_parts() == 1
    assert 0 <= task.validate_part(0)["J"] <= 1
    again = ParentTraining(config)
    again.start_from(exported.tensors)
    name = "backbone.body.conv1.weight"
    assert torch.equal(again.network.state_dict()[name], task.network.state_dict()[name])


def test_the_grid_search_tries_every_rate_and_puts_its_own_back(config, monkeypatch):
    learned = learned_start_of(small.network(), level="single")
    opened = open_tasks(config.data)
    found = search_rate(
        config.method, learned, opened.held_out, ValidationConfig(inner_steps=1), (1e-6, 1e-2)
    )
    assert set(found) == {1e-6, 1e-2}
    assert learned.stored_rates[0].item() == pytest.approx(1e-3)
    assert (min(GRID), max(GRID), len(GRID)) == (1e-6, 1e-2, 9)
    with pytest.raises(ConfigError, match="rate_level=single"):
        search_rate(
            config.method, learned_start_of(small.network()), opened.held_out, ValidationConfig()
        )
    with pytest.raises(ConfigError, match="requires held-out videos"):
        search_rate(config.method, learned, (), ValidationConfig())
