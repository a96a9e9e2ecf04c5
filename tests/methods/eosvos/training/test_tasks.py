"""Tasks from videos: which there are, what they depend on, how their frames are changed."""

from __future__ import annotations

import pytest
import torch

from maskcast.core.errors import ConfigError
from maskcast.methods.eosvos.training.config import TaskConfig, TaskDataConfig
from maskcast.methods.eosvos.training.tasks import MetaTaskItems, open_tasks

from .videos import meta_tasks, write_video

PLAIN = {"colour": False, "flip": False, "warp": False}


@pytest.fixture
def root(tmp_path):
    write_video(tmp_path / "one", objects=1, seed=1)
    write_video(tmp_path / "two", objects=2, seed=2)
    write_video(tmp_path / "apart", objects=1, seed=3)
    return tmp_path


def items_of(root, **settings):
    return meta_tasks(root, held_out=("apart",), **settings)


def same(one, other):
    frames = zip((*one.memory, one.query), (*other.memory, other.query), strict=True)
    return one.seed == other.seed and all(
        torch.equal(a.frame, b.frame) and torch.equal(a.label, b.label) for a, b in frames
    )


def test_every_pair_of_video_and_object_is_a_task(root):
    items = items_of(root)
    assert len(items) == 3
    for start in (0, 3, 6):  # shuffled passes over all of them
        names = sorted(items.identity(start + n) for n in range(3))
        assert names == ["one, object 1", "two, object 1", "two, object 2"]


def test_a_mask_that_cannot_be_read_does_not_keep_its_video_out(root, caplog):
    torn = min((root / "two" / "masks").iterdir())
    torn.write_bytes(b"torn")
    assert len(items_of(root)) == 3
    assert f"cannot read {torn} as an image" in caplog.text


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
        assert (task.memory[0].label == 1).any() and (task.query.label == 1).any()


def test_the_paper_s_one_frame_is_augmented_twice(root):
    task = items_of(root, frames="same", **PLAIN)[0]
    assert torch.equal(task.memory[0].frame, task.query.frame)
    task = items_of(root, frames="same")[0]
    assert not torch.equal(task.memory[0].frame, task.query.frame)
    apart = items_of(root, **PLAIN)
    assert any(not torch.equal(apart[n].memory[0].frame, apart[n].query.frame) for n in range(6))


def test_reach_bounds_the_distance(root):
    items = items_of(root, reach=0, **PLAIN)
    assert all(torch.equal(items[n].memory[0].label, items[n].query.label) for n in range(6))


def test_colours_and_flip_are_shared_by_the_frames_of_a_task(root):
    items = items_of(root, frames="same", warp=False)
    task = items[0]
    assert torch.equal(task.memory[0].frame, task.query.frame)
    plain = items_of(root, frames="same", warp=False, colour=False, flip=False)[0]
    assert not torch.equal(task.memory[0].frame, plain.memory[0].frame)


def test_every_inner_step_can_have_a_view_of_its_own(root):
    task = items_of(root, transforms="step", inner_steps=3)[0]
    shared = items_of(root, inner_steps=3)[0]
    assert len(shared.memory) == 1 and same(shared, items_of(root)[0])
    assert torch.equal(task.memory[0].frame, shared.memory[0].frame)
    frames = [view.frame for view in task.memory]
    assert len(frames) == 3
    assert not any(torch.equal(frames[a], frames[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert all((view.label == 1).any() for view in task.memory)
    unchanged = items_of(root, transforms="step", inner_steps=3, **PLAIN)[0].memory
    assert all(torch.equal(view.frame, unchanged[0].frame) for view in unchanged)


def test_held_out_videos_and_all_objects_as_one(root):
    opened = open_tasks(
        TaskDataConfig(videos=(root,), held_out=("apart",), all_objects_as_one=True)
    )
    assert [entry.video.name for entry in opened.held_out] == ["apart"]
    items = MetaTaskItems(opened.training, TaskConfig(warp=False), seed=0, epoch=0)
    assert len(items) == 2
    largest = max(int((items[n].memory[0].label == 1).sum()) for n in range(8))
    assert largest == 2 * 14 * 18


def test_what_is_missing_is_said(root):
    with pytest.raises(ConfigError, match="held-out videos do not exist: nowhere"):
        open_tasks(TaskDataConfig(videos=(root,), held_out=("nowhere",)))
    with pytest.raises(ConfigError, match="no data to train on"):
        open_tasks(TaskDataConfig())
