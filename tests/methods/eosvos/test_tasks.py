from __future__ import annotations

import pytest
import torch

from maskcast.core.errors import ConfigError
from maskcast.methods.eosvos.tasks import MetaTaskItems, open_tasks
from maskcast.methods.eosvos.training_config import TaskConfig, TaskDataConfig

from .videos import write_video


@pytest.fixture
def root(tmp_path):
    write_video(tmp_path / "one", objects=1, seed=1)
    write_video(tmp_path / "two", objects=2, seed=2)
    write_video(tmp_path / "apart", objects=1, seed=3)
    return tmp_path


def items_of(root, *, seed=0, epoch=0, **settings):
    opened = open_tasks(TaskDataConfig(videos=(root,), held_out=("apart",)))
    return MetaTaskItems(opened.training, TaskConfig(**settings), seed=seed, epoch=epoch)


def same(one, other):
    pairs = zip(one, other, strict=True)
    return all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in pairs)


def test_every_pair_of_video_and_object_is_a_task(root):
    items = items_of(root)
    assert len(items) == 3
    for start in (0, 3, 6):  # shuffled passes over all of them
        names = sorted(items.identity(start + n) for n in range(3))
        assert names == ["one, object 1", "two, object 1", "two, object 2"]


def test_an_item_depends_on_seed_epoch_and_index_alone(root):
    items = items_of(root)
    first = items[4]
    torch.manual_seed(5)
    items[1]
    assert same(items[4], first)
    assert same(items_of(root)[4], first)
    assert not same(items_of(root, epoch=1)[4], first)
    assert not same(items_of(root, seed=1)[4], first)


def test_both_frames_always_show_the_object(root):
    items = items_of(root)
    for index in range(12):
        task = items[index]
        assert (task.memory_label == 1).any() and (task.query_label == 1).any()


def test_the_paper_s_one_frame_is_augmented_twice(root):
    plain = {"colour": False, "flip": False, "warp": False}
    task = items_of(root, frames="same", **plain)[0]
    assert torch.equal(task.memory_frame, task.query_frame)
    task = items_of(root, frames="same")[0]
    assert not torch.equal(task.memory_frame, task.query_frame)
    apart = items_of(root, **plain)
    assert any(not torch.equal(apart[n].memory_frame, apart[n].query_frame) for n in range(6))


def test_reach_bounds_the_distance(root):
    plain = {"colour": False, "flip": False, "warp": False}
    items = items_of(root, reach=0, **plain)
    assert all(torch.equal(items[n].memory_label, items[n].query_label) for n in range(6))


def test_colours_and_flip_are_shared_by_the_frames_of_a_task(root):
    items = items_of(root, frames="same", warp=False)
    task = items[0]
    assert torch.equal(task.memory_frame, task.query_frame)
    plain = items_of(root, frames="same", warp=False, colour=False, flip=False)[0]
    assert not torch.equal(task.memory_frame, plain.memory_frame)


def test_held_out_videos_and_all_objects_as_one(root):
    opened = open_tasks(
        TaskDataConfig(videos=(root,), held_out=("apart",), all_objects_as_one=True)
    )
    assert [entry.video.name for entry in opened.held_out] == ["apart"]
    items = MetaTaskItems(opened.training, TaskConfig(warp=False), seed=0, epoch=0)
    assert len(items) == 2
    largest = max(int((items[n].memory_label == 1).sum()) for n in range(8))
    assert largest == 2 * 14 * 18


def test_what_is_missing_is_said(root):
    with pytest.raises(ConfigError, match="held-out videos are not there: nowhere"):
        open_tasks(TaskDataConfig(videos=(root,), held_out=("nowhere",)))
    with pytest.raises(ConfigError, match="no data to train on"):
        open_tasks(TaskDataConfig())
