"""Tasks for meta-training: which frames, and what both frames share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.imitations import write_frame, write_labels
from maskcast.core.errors import ConfigError, DatasetError
from maskcast.data.clips import DrawnClip
from maskcast.data.dataset import AnnotationFile, Video, VideoObject
from maskcast.data.tasks import (
    TaskAugmentation,
    TaskSampling,
    augment_task,
    draw_colour_jitter,
    draw_task_frames,
    list_tasks,
)

VISIBLE = {1: (0, 1, 2, 3, 4, 5), 4: (3, 4)}


@pytest.fixture
def video(tmp_path):
    for index in range(6):
        write_frame(tmp_path / f"{index}.png", np.full((6, 8, 3), index, np.uint8))
        label_map = np.zeros((6, 8), dtype=np.uint8)
        for object_id, frames in VISIBLE.items():
            if index in frames:
                label_map[object_id] = object_id
        write_labels(tmp_path / f"labels/{index}.png", label_map)
    return Video(
        name="v",
        frame_names=tuple("012345"),
        size=(6, 8),
        image_files={index: tmp_path / f"{index}.png" for index in range(6)},
        annotation_files={
            index: (AnnotationFile(tmp_path / f"labels/{index}.png"),) for index in range(6)
        },
        declared=(VideoObject(1, 0), VideoObject(4, 3)),
    )


def indices(clip: DrawnClip) -> tuple[int, ...]:
    return tuple(int(frame[0, 0, 0]) for frame in clip.frames)


def test_there_is_a_task_for_each_object(video):
    assert [task.object_id for task in list_tasks([video])] == [1, 4]
    assert [task.object_id for task in list_tasks([video], single_object=True)] == [None]
    with pytest.raises(DatasetError):
        list_tasks([])


def test_both_frames_are_drawn_from_all_that_show_the_object_and_may_coincide(video):
    task = list_tasks([video])[1]
    clips = [draw_task_frames(task, np.random.default_rng(seed)) for seed in range(40)]
    assert {indices(clip) for clip in clips} == {(3, 3), (3, 4), (4, 3), (4, 4)}
    for clip in clips:
        assert all(mask.sum() == 8 and (mask[4] == 1).all() for mask in clip.masks)


def test_the_test_frame_can_be_kept_near_the_train_frame(video):
    task = list_tasks([video])[0]
    near = TaskSampling(test_within=1)
    drawn = {indices(draw_task_frames(task, np.random.default_rng(s), near)) for s in range(200)}
    assert drawn == {(a, b) for a in range(6) for b in range(6) if abs(a - b) <= 1}


def test_an_object_that_is_never_visible_is_reported(video):
    gone = Video(
        name="v",
        frame_names=video.frame_names,
        size=video.size,
        image_files=video.image_files,
        annotation_files=video.annotation_files,
        declared=(VideoObject(9, 0),),
    )
    with pytest.raises(DatasetError, match="visible in none"):
        draw_task_frames(list_tasks([gone])[0], np.random.default_rng(0), TaskSampling(tries=20))


def test_colours_change_within_their_ranges_in_any_order():
    drawn = [
        draw_colour_jitter(TaskAugmentation(), np.random.default_rng(seed)) for seed in range(300)
    ]
    orders = {tuple(name for name, _ in jitter.steps) for jitter in drawn}
    assert len(orders) == 24
    for name, low, high in (
        ("brightness", 0.8, 1.2),
        ("contrast", 0.8, 1.2),
        ("saturation", 0.8, 1.2),
        ("hue", -0.1, 0.1),
    ):
        amounts = [dict(jitter.steps)[name] for jitter in drawn]
        assert low <= min(amounts) < low + 0.02 and high - 0.02 < max(amounts) <= high


def test_both_frames_share_colours_and_mirroring():
    generator = np.random.default_rng(0)
    frame = generator.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    mask = (frame[..., 0] > 128).astype(np.uint8)
    clip = DrawnClip("t", (frame, frame), (mask, mask))
    mirrored = 0
    for seed in range(20):
        images, masks = augment_task(clip, TaskAugmentation(), np.random.default_rng(seed))
        assert torch.equal(images[0], images[1]) and torch.equal(masks[0], masks[1])
        mirrored += torch.equal(masks[0], torch.from_numpy(mask).flip(1))
    assert 4 < mirrored < 16


def test_without_strength_nothing_changes():
    frame = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    mask = np.ones((6, 8), dtype=np.uint8)
    still = TaskAugmentation(brightness=0, contrast=0, saturation=0, hue=0, flip=0)
    images, masks = augment_task(DrawnClip("t", (frame,), (mask,)), still, np.random.default_rng(0))
    assert torch.equal(images[0], torch.from_numpy(frame).permute(2, 0, 1))
    assert torch.equal(masks[0], torch.from_numpy(mask))


def test_nonsense_is_refused():
    with pytest.raises(ConfigError):
        TaskAugmentation(hue=0.7)
    with pytest.raises(ConfigError):
        TaskSampling(test_within=-1)
