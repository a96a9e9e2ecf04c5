"""Which frames make a clip: checked against the rules of sampling, one by one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fixtures.imitations import write_frame, write_labels
from maskcast.core.errors import ConfigError, DatasetError
from maskcast.core.types import Box
from maskcast.data.clips import (
    ClipSampling,
    VideoClips,
    draw_clip_frames,
    object_mask,
    tight_box,
)
from maskcast.data.dataset import AnnotationFile, Video
from maskcast.data.visibility import count_pixels

RULES = ClipSampling(max_gap=6)


def seen(*frames: int, of: int = 20) -> np.ndarray:
    visible = np.zeros(of, dtype=np.bool_)
    visible[list(frames)] = True
    return visible


def draws(visible: np.ndarray, sampling: ClipSampling, count: int = 400):
    generator = np.random.default_rng(5)
    return [draw_clip_frames(generator, visible, 3, sampling) for _ in range(count)]


def test_every_rule_of_the_specification_holds():
    visible = seen(0, 1, 2, 5, 6, 7, 8, 11, 12, 13, 14, 17, 18, 19)
    for drawn in draws(visible, RULES):
        assert visible[drawn.train] and visible[list(drawn.test)].all()
        assert drawn.train < 20 - 3
        assert list(drawn.test) == sorted(drawn.test)
        assert drawn.train < drawn.test[0]
        assert visible[: drawn.train].any()


def test_no_frame_is_out_of_reach():
    free = ClipSampling(max_gap=6, needs_earlier_frame=False)
    reach = {drawn.test[-1] - drawn.train for drawn in draws(seen(*range(60), of=60), free)}
    assert max(reach) == 5


def test_the_first_visible_frame_is_the_train_frame_only_if_none_must_come_before_it():
    visible = seen(*range(4, 20))
    assert 4 not in {drawn.train for drawn in draws(visible, RULES)}
    free = ClipSampling(max_gap=6, needs_earlier_frame=False)
    assert 4 in {drawn.train for drawn in draws(visible, free)}


def test_test_frames_are_drawn_with_replacement_and_uniformly():
    # from train frame 1 only the frames 2 and 3 can follow: 8 ordered draws, 2 of them all equal
    visible = seen(0, 1, 2, 3, of=7)
    found = Counter(drawn.test for drawn in draws(visible, ClipSampling(max_gap=3), 4000))
    share = {test: count / 4000 for test, count in found.items()}
    only_from_1 = {(2, 2, 2): 1 / 8, (2, 2, 3): 3 / 8, (2, 3, 3): 3 / 8, (3, 3, 3): 1 / 8}
    # train frame 2 is drawn as often, and then only frame 3 can follow; 3 has none after it within
    # reach, whereupon the reach grows and all three are drawn again
    for test, chance in only_from_1.items():
        expected = chance / 2 + (1 / 2 if test == (3, 3, 3) else 0)
        assert share[test] == pytest.approx(expected, abs=0.03)


def test_the_reach_grows_until_it_holds_a_visible_frame():
    visible = seen(0, 1, 15)
    drawn = draws(visible, ClipSampling(max_gap=3, gap_step=5), 20)
    # 1 is the only train frame with one before it and one after it; 15 is in reach from 3 + 3 · 5
    assert {(one.train, one.test) for one in drawn} == {(1, (15, 15, 15))}


def test_nothing_is_drawn_where_nothing_can_be():
    generator = np.random.default_rng(0)
    assert draw_clip_frames(generator, seen(of=9), 3, RULES) is None
    few = ClipSampling(max_gap=2, tries=10)
    assert draw_clip_frames(generator, seen(4, of=9), 3, few) is None


def make_video(folder: Path, label_maps: list[np.ndarray | None], has_void: bool = True) -> Video:
    """Write frames whose grey level is their index, and the label maps that are given."""
    size = next(each.shape for each in label_maps if each is not None)
    annotations = {}
    for index, label_map in enumerate(label_maps):
        write_frame(folder / f"{index}.png", np.full((*size, 3), index, dtype=np.uint8))
        if label_map is not None:
            write_labels(folder / "labels" / f"{index}.png", label_map)
            annotations[index] = (AnnotationFile(folder / "labels" / f"{index}.png"),)
    return Video(
        name=folder.name,
        frame_names=tuple(str(index) for index in range(len(label_maps))),
        size=size,
        image_files={index: folder / f"{index}.png" for index in range(len(label_maps))},
        annotation_files=annotations,
        has_void=has_void,
    )


def labels(**pixels: int) -> np.ndarray:
    """A label map of 8 × 8 with so many pixels of the ids o1, o2 … and of void."""
    flat = np.zeros(64, dtype=np.uint8)
    at = 0
    for name, count in pixels.items():
        flat[at : at + count] = 255 if name == "void" else int(name[1:])
        at += count
    return flat.reshape(8, 8)


def test_targets_are_objects_that_are_visible_often_enough(tmp_path):
    both = labels(o1=11, o3=20)
    maps = [both] * 8 + [labels(o1=11, o3=10), None, labels(o1=11, o2=30, void=5)]
    clips = VideoClips("imitation", [make_video(tmp_path / "a", maps)])
    # more than 8 visible frames are needed: object 1 has 10; 3 has 8, since 10 pixels are not seen;
    # 2 has one, and void is no object
    assert [(target.object_id, target.visible.sum()) for target in clips.targets] == [(1, 10)]
    assert clips.targets[0].frames.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10]
    clip = clips.draw(np.random.default_rng(0), 3)
    assert {9} & {int(frame[0, 0, 0]) for frame in clip.frames} == set()
    assert all(mask.max() == 1 and (mask == 1).sum() == 11 for mask in clip.masks if mask.max() < 9)


def test_all_ids_can_be_one_object(tmp_path):
    maps = [labels(o1=6, o2=6)] * 9
    video = make_video(tmp_path / "a", maps)
    with pytest.raises(DatasetError, match="visible in more than 8"):
        VideoClips("imitation", [video])
    merged = VideoClips("imitation", [video], single_object=True)
    assert (merged.draw(np.random.default_rng(0), 3).masks[0] == 1).sum() == 12


def test_255_is_an_object_where_a_data_set_has_no_void():
    label_map = labels(o1=2, void=3)
    assert count_pixels(label_map)[255] == 0
    assert count_pixels(label_map, has_void=False)[255] == 3
    assert count_pixels(label_map, merged=True).tolist() == [59, 2]
    assert np.bincount(object_mask(label_map, 1).ravel(), minlength=256)[[0, 1, 255]].tolist() == [
        59,
        2,
        3,
    ]
    assert object_mask(label_map, 255, has_void=False).sum() == 3
    assert object_mask(label_map, None, has_void=False).sum() == 5


def test_tight_box_counts_its_last_column():
    mask = np.zeros((9, 9), dtype=np.uint8)
    mask[2, 3] = mask[5, 7] = 1
    mask[8, 8] = 255
    assert tight_box(mask) == Box(3, 2, 5, 4)
    with pytest.raises(DatasetError, match="empty"):
        tight_box(mask * 0)


def test_nonsense_is_refused():
    with pytest.raises(ConfigError):
        ClipSampling(max_gap=0)
