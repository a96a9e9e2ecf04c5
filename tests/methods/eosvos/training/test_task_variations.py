"""Variations of tasks: groups, flipped and empty labels, orders of box values, pasted objects."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskcast.core.errors import ConfigError
from maskcast.methods.eosvos.training.config import TaskConfig
from maskcast.methods.eosvos.training.task_variations import flip_labels, group_mask, paste_behind

from .videos import meta_tasks, write_video

PIXELS = 14 * 18
"""Of each object in the synthetic videos."""


@pytest.fixture
def root(tmp_path):
    write_video(tmp_path / "one", objects=1, seed=1)
    write_video(tmp_path / "two", objects=2, seed=2)
    write_video(tmp_path / "other", objects=1, seed=3)
    return tmp_path


def items_of(root, **settings):
    return meta_tasks(root, colour=False, flip=False, warp=False, **settings)


def sizes(task):
    return int((task.memory[0].label == 1).sum()), int((task.query.label == 1).sum())


def test_groups_of_objects_are_taken_as_one(root):
    items = items_of(root, object_groups=True)
    found = {}
    for index in range(24):
        found.setdefault(items.identity(index), set()).add(sizes(items[index]))
    assert found["two, object 1"] == {(PIXELS, PIXELS), (2 * PIXELS, 2 * PIXELS)}
    assert found["one, object 1"] == {(PIXELS, PIXELS)}


def test_a_group_is_the_union_of_its_objects():
    label_map = np.array([[0, 1, 2, 3, 255]])
    assert group_mask(label_map, (1, 3), has_void=True).tolist() == [[0, 1, 0, 1, 255]]
    assert group_mask(label_map, None, has_void=False).tolist() == [[0, 1, 1, 1, 1]]


def test_flipped_labels_call_the_background_the_object(root):
    plain, flipped = items_of(root)[1], items_of(root, label_flips=1.0)[1]
    assert torch.equal(flipped.memory[0].label, 1 - plain.memory[0].label)
    assert torch.equal(flipped.query.label, 1 - plain.query.label)
    some = items_of(root, label_flips=0.5)
    assert {sizes(some[index])[0] > PIXELS * 2 for index in range(16)} == {True, False}


def test_a_flip_keeps_void_and_never_empties_a_label():
    mixed, full = np.array([[0, 1, 255]], np.uint8), np.array([[1, 1, 255]], np.uint8)
    assert flip_labels([mixed])[0].tolist() == [[1, 0, 255]]
    assert [label.tolist() for label in flip_labels([mixed, full])] == [
        mixed.tolist(),
        full.tolist(),
    ]


def test_empty_labels_show_no_object_in_either_frame(root):
    items = items_of(root, empty_labels=0.5)
    found = {tuple(size > 0 for size in sizes(items[index])) for index in range(16)}
    assert found == {(True, True), (False, False)}


def test_every_task_draws_an_order_of_the_box_values(root):
    items = items_of(root, box_orders=True)
    orders = {items[index].box_order for index in range(12)}
    assert len(orders) > 3 and all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert items_of(root)[0].box_order == (0, 1, 2, 3)


def test_an_object_of_another_video_stands_behind(root):
    plain, pasted = items_of(root), items_of(root, single_object_videos="paste")
    changed = {}
    for index in range(4):  # one pass over all of them
        before, after = plain[index], pasted[index]
        assert torch.equal(before.memory[0].label, after.memory[0].label)
        same = (before.memory[0].frame == after.memory[0].frame).all(dim=0)
        assert same[before.memory[0].label == 1].all()
        changed[plain.identity(index)] = int((~same).sum())
    assert changed["two, object 1"] == changed["two, object 2"] == 0
    assert 0 < changed["one, object 1"] <= PIXELS


def test_without_another_video_of_one_object_nothing_is_pasted(tmp_path):
    write_video(tmp_path / "one", objects=1, seed=1)
    write_video(tmp_path / "two", objects=2, seed=2)
    plain, pasted = items_of(tmp_path), items_of(tmp_path, single_object_videos="paste")
    for index in range(3):
        assert torch.equal(plain[index].memory[0].frame, pasted[index].memory[0].frame)


def test_what_is_pasted_is_stretched_and_hides_nothing():
    frame, label = np.zeros((2, 4, 3), np.uint8), np.array([[1, 0, 0, 0], [0, 255, 0, 0]], np.uint8)
    other, own = np.full((1, 2, 3), 9, np.uint8), np.array([[1, 0]], np.uint8)
    found = paste_behind(frame, label, other, own)[..., 0]
    assert found.tolist() == [[0, 9, 0, 0], [9, 0, 0, 0]]


@pytest.mark.parametrize("settings", [{"label_flips": 1.5}, {"empty_labels": -0.1}])
def test_chances_lie_between_0_and_1(settings):
    with pytest.raises(ConfigError, match=r"must be in \[0, 1\]"):
        TaskConfig(**settings)
