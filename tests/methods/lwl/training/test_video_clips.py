"""Which frames make a clip: checked against the rules of sampling, one by one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fixtures.imitations import write_frame, write_labels
from fixtures.small_label_maps import labels
from maskcast.core.errors import ConfigError, DatasetError
from maskcast.data.dataset import AnnotationFile, Video
from maskcast.methods.lwl.training.clip_frames import draw_absence, draw_clip_frames
from maskcast.methods.lwl.training.clip_settings import ClipSampling
from maskcast.methods.lwl.training.video_clips import VideoClips

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
    with pytest.raises(DatasetError, match="visible in at least 9"):
        VideoClips("imitation", [video])
    merged = VideoClips("imitation", [video], single_object=True)
    assert (merged.draw(np.random.default_rng(0), 3).masks[0] == 1).sum() == 12


# frames 0-2 visible, 3-4 absent, 5 a few pixels, 6-7 visible, 8-11 absent to the end
COMES_AND_GOES = np.array([99, 99, 99, 0, 0, 5, 99, 99, 0, 0, 0, 0])


def absences(count: int = 600, test_frames: int = 4, pixels=COMES_AND_GOES, **changes: object):
    generator = np.random.default_rng(3)
    sampling = ClipSampling(**changes)
    return [draw_absence(generator, pixels, test_frames, sampling) for _ in range(count)]


def pattern(drawn, pixels=COMES_AND_GOES) -> str:
    """The clip in letters, v for visible and a for absent."""
    assert list(drawn.test) == sorted(drawn.test) and drawn.train < drawn.test[0]
    shown = pixels[[drawn.train, *drawn.test]]
    assert not ((shown > 0) & (shown <= 10)).any()
    return "".join("a" if each == 0 else "v" for each in shown)


def test_a_clip_with_an_absence_begins_visible_and_mostly_shows_a_return():
    drawn = absences()
    seen = Counter(pattern(one) for one in drawn)
    returns = {"vaaav", "vaavv", "vavvv", "vvaav", "vvavv", "vvvav"}
    leaves = {"vaaaa", "vvaaa", "vvvaa", "vvvva"}
    assert set(seen) == returns | leaves
    assert sum(seen[each] for each in returns) / 600 == pytest.approx(0.75, abs=0.05)
    for one in drawn:
        places = [place for place in one.test if COMES_AND_GOES[place] == 0]
        assert set(places) <= {3, 4} or set(places) <= {8, 9, 10, 11}


def test_an_absence_is_never_drawn_from_beyond_reach():
    for one in absences(max_gap=4):
        assert one.test[-1] - one.train < 4
    # from frame 1, the first absent frame is 9 frames away
    pixels = np.array([0, 99, 5, 5, 5, 5, 5, 5, 5, 5, 0])
    assert absences(5, pixels=pixels, max_gap=9) == [None] * 5
    assert {pattern(one, pixels) for one in absences(5, pixels=pixels, max_gap=10)} == {"vaaaa"}


def test_an_object_that_is_always_there_or_never_has_no_absence():
    assert absences(3, pixels=np.full(9, 99)) == [None] * 3
    assert absences(3, pixels=np.zeros(9, dtype=np.int64)) == [None] * 3
    assert absences(3, pixels=np.array([0, 0, 99, 99])) == [None] * 3


def test_eight_test_frames_of_a_clip_with_an_absence_are_distinct_where_there_are_enough():
    pixels = np.array([99] * 10 + [0] * 10 + [99] * 10)
    for one in absences(100, 8, pixels, distinct=True):
        assert len(set(one.test)) == 8 and "av" in pattern(one, pixels)


def test_distinct_test_frames_of_a_short_absence_are_all_there_are():
    pixels = np.array([99, 99, 0, 99])  # from frame 0, three frames follow
    for one in absences(30, 6, pixels, distinct=True):
        assert set(one.test) == set(range(one.train + 1, 4)) and len(one.test) == 6


def test_distinct_test_frames_repeat_only_when_all_have_been_drawn():
    visible = seen(0, 1, 2, 3, 4, of=9)
    sampling = ClipSampling(max_gap=6, distinct=True, needs_earlier_frame=False)
    for drawn in draws(visible, sampling):
        later = 4 - drawn.train
        assert len(set(drawn.test)) == min(3, later)


def test_targets_that_are_sometimes_absent_are_drawn_so_as_often_as_wanted(tmp_path):
    here, gone = labels(o1=11, o2=20), labels(o2=20)
    leaves = make_video(tmp_path / "leaves", [here, here, here, gone, gone, here, here])
    sampling = ClipSampling(absent=0.5, fewest_visible=4, needs_earlier_frame=False)
    clips = VideoClips("imitation", [leaves], test_frames=2, sampling=sampling)
    generator = np.random.default_rng(0)
    lacking = Counter()
    for _ in range(400):
        clip = clips.draw(generator, 2)
        assert (clip.masks[0] == 1).any()
        lacking[clip.name.split(", ")[1], all((mask == 1).any() for mask in clip.masks)] += 1
    assert lacking["object 2", False] == 0
    share = lacking["object 1", False] / (lacking["object 1", False] + lacking["object 1", True])
    assert share == pytest.approx(0.5, abs=0.08)


def test_a_video_with_many_objects_is_drawn_as_often_as_one_with_one_if_wanted(tmp_path):
    many = make_video(tmp_path / "many", [labels(o1=11, o2=11, o3=11, o4=11)] * 9)
    one = make_video(tmp_path / "one", [labels(o1=11)] * 9)

    def share_of_one(**changes: object) -> float:
        clips = VideoClips("imitation", [many, one], sampling=ClipSampling(**changes))
        generator = np.random.default_rng(0)
        drawn = [clips.draw(generator, 1).name.split("/")[1] for _ in range(400)]
        return sum(name.startswith("one,") for name in drawn) / 400

    assert share_of_one() == pytest.approx(1 / 5, abs=0.06)
    assert share_of_one(uniform_over="videos") == pytest.approx(1 / 2, abs=0.06)


def test_a_clip_knows_the_other_objects_of_its_frames(tmp_path):
    video = make_video(tmp_path / "a", [labels(o1=20, o2=11, o3=12, void=4)] * 9)
    clip = VideoClips("imitation", [video]).draw(np.random.default_rng(1), 2)
    object_id = int(clip.name.split("object ")[1][0])
    sizes = {1: 20, 2: 11, 3: 12}
    for others in clip.others:
        found = {int(each): int((others == each).sum()) for each in np.unique(others) if each}
        assert found == {each: size for each, size in sizes.items() if each != object_id}
    merged = VideoClips("imitation", [video], single_object=True)
    assert merged.draw(np.random.default_rng(1), 2).others is None


@pytest.mark.parametrize(
    "nonsense", [{"max_gap": 0}, {"absent": 1.5}, {"absent": -0.1}, {"fewest_visible": 1}]
)
def test_nonsense_is_refused(nonsense):
    with pytest.raises(ConfigError):
        ClipSampling(**nonsense)
