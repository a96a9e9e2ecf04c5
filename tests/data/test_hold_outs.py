"""Hold-outs never change by themselves."""

from __future__ import annotations

from collections import Counter

import pytest

from fixtures.imitations import imitate_youtube_vos
from maskcast.core.errors import ConfigError, DatasetError
from maskcast.data.hold_outs import (
    DAVIS16_HOLD_OUT,
    DAVIS_VALIDATION,
    draw_balanced_hold_outs,
    draw_hold_out,
    read_hold_out,
    without,
)
from maskcast.data.youtube_vos import open_youtube_vos

NAMES = [f"{number:010x}" for number in range(3471)]
HELD_OUT = ("0000000008", "000000000d", "000000000e", "0000000012")


def test_a_hold_out_is_the_same_for_ever():
    drawn = draw_hold_out(NAMES)
    assert len(drawn) == len(set(drawn)) == 300 and list(drawn) == sorted(drawn)
    assert draw_hold_out(list(reversed(NAMES))) == drawn
    # written down once: a change here would let validation videos into training
    assert draw_hold_out(NAMES[:20], count=4) == HELD_OUT
    assert draw_hold_out(NAMES, seed=1) != drawn


def test_a_video_more_or_less_changes_at_most_one_of_them():
    before, after = set(draw_hold_out(NAMES)), set(draw_hold_out(NAMES[:-1]))
    assert len(before & after) >= 299


def test_balanced_hold_outs_share_no_video_and_show_every_category_alike():
    kinds = ["person"] * 20 + ["dog", "cat", "duck", "owl"] * 3 + ["yak"]
    categories = {name: {kinds[place % len(kinds)]} for place, name in enumerate(NAMES[:700])}
    first, second = draw_balanced_hold_outs(categories, counts=(60, 60))
    assert not set(first) & set(second) and len(first) == len(second) == 60
    for drawn in (first, second):
        count = Counter(kind for name in drawn for kind in categories[name])
        assert set(count.values()) == {10}
    assert draw_balanced_hold_outs(dict(reversed(categories.items())), counts=(60, 60)) == (
        first,
        second,
    )


def test_a_video_of_several_categories_counts_by_its_rarest():
    rare = set(NAMES[:100:20])
    categories = {name: {"person", "yak"} if name in rare else {"person"} for name in NAMES[:100]}
    (drawn,) = draw_balanced_hold_outs(categories, counts=(10,))
    assert len(drawn) == 10
    assert rare < set(drawn)


def test_a_list_file_says_what_is_held_out(tmp_path):
    root = imitate_youtube_vos(tmp_path / "data", videos=3, frames=3)
    dataset = open_youtube_vos(root, year=2019, split="train", purpose="train")
    (tmp_path / "list.txt").write_text("0000000001\n\n")
    held_out = read_hold_out(tmp_path / "list.txt")
    kept, apart = without(dataset, held_out)
    assert [video.name for video in apart] == ["0000000001"]
    assert [video.name for video in kept] == ["0000000000", "0000000002"]
    with pytest.raises(DatasetError, match="no video elsewhere"):
        without(dataset, ["elsewhere"])
    with pytest.raises(DatasetError, match="all videos"):
        without(dataset, [video.name for video in dataset])
    with pytest.raises(DatasetError, match="cannot be read"):
        read_hold_out(tmp_path / "nowhere.txt")


def test_not_everything_can_be_held_out():
    with pytest.raises(ConfigError):
        draw_hold_out(NAMES[:300])
    with pytest.raises(ConfigError):
        draw_balanced_hold_outs({name: {"person"} for name in NAMES[:200]})
    with pytest.raises(ConfigError):
        draw_balanced_hold_outs({name: {"person"} for name in NAMES}, counts=(-1, 5))


def test_the_validation_videos_of_davis_are_listed():
    assert len(DAVIS_VALIDATION) == len(set(DAVIS_VALIDATION)) == 30
    assert list(DAVIS_VALIDATION) == sorted(DAVIS_VALIDATION)


def test_no_sequence_is_both_tuned_on_and_validated_on():
    assert len(set(DAVIS16_HOLD_OUT)) == 6
    assert not set(DAVIS16_HOLD_OUT) & set(DAVIS_VALIDATION)
