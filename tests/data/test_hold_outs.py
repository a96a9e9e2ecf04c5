"""Hold-outs never change by themselves."""

from __future__ import annotations

import importlib.util
import os
import tarfile
from collections import Counter
from importlib.machinery import SourceFileLoader
from pathlib import Path

import numpy as np
import pytest

from fixtures.imitations import imitate_youtube_vos, write_frame, write_labels
from maskcast.core.errors import ConfigError, DatasetError, OutputError
from maskcast.data.hold_out_names import (
    DAVIS16_HOLD_OUT,
    SMALL_HOLD_OUT,
    SMALL_HOLD_OUT_REAL,
    SMALL_HOLD_OUT_RENDERED,
)
from maskcast.data.hold_outs import (
    DAVIS_VALIDATION,
    draw_balanced_hold_outs,
    draw_hold_out,
    find_clips,
    link_clips,
    read_hold_out,
    without,
)
from maskcast.data.readers.folder import open_folder
from maskcast.data.readers.youtube_vos import open_youtube_vos

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
    with pytest.raises(DatasetError, match=r"the list .* does not exist"):
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


def test_the_small_hold_out_holds_none_of_the_validation_videos():
    assert len(SMALL_HOLD_OUT) == len(set(SMALL_HOLD_OUT)) == 15
    assert SMALL_HOLD_OUT == SMALL_HOLD_OUT_REAL + SMALL_HOLD_OUT_RENDERED
    assert set(DAVIS16_HOLD_OUT) < set(SMALL_HOLD_OUT_REAL)
    assert not set(SMALL_HOLD_OUT) & set(DAVIS_VALIDATION)


CHECKOUT = Path(__file__).parents[2]
ARCHIVES = Path(os.environ.get("MASKCAST_DATA", CHECKOUT.parent / "shared/data")) / "train"


def test_every_clip_of_the_small_hold_out_is_in_one_archive():
    names = ("davis16-train-1", "davis16-train-2", "mixed", "render3d-all-1", "render3d-all-2")
    archives = [ARCHIVES / f"{name}.tar" for name in (*names, "render3d-ycb")]
    if not all(archive.is_file() for archive in archives):
        pytest.skip(f"the training archives are not in {ARCHIVES}")
    found = Counter()
    for archive in archives:
        with tarfile.open(archive) as files:
            paths = [Path(name).parts for name in files.getnames()]
        found.update({parts[-3] for parts in paths if len(parts) > 2 and parts[-2] == "frames"})
    assert [found[name] for name in SMALL_HOLD_OUT] == [1] * 15


def write_clip(folder: Path, frames: int = 2) -> None:
    for index in range(frames):
        write_frame(folder / "frames" / f"{index}.png", np.full((8, 8, 3), index, dtype=np.uint8))
        write_labels(folder / "masks" / f"{index}.png", np.eye(8, dtype=np.uint8))


def test_clips_are_found_below_their_archives_and_linked_as_a_data_set(tmp_path):
    write_clip(tmp_path / "data/one/plane")
    write_clip(tmp_path / "data/two/video/train", frames=3)
    write_clip(tmp_path / "data/two/video/boat")
    (tmp_path / "data/two/train").mkdir()  # a folder of that name without frames is no clip
    clips = find_clips(tmp_path / "data", ["train", "plane"])
    for _ in range(2):  # the second time, the links are replaced
        link_clips(clips, tmp_path / "out")
    read = open_folder(tmp_path / "out", purpose="score")
    assert {video.name: len(video.frame_names) for video in read} == {"plane": 2, "train": 3}
    (tmp_path / "other/plane").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot link"):
        link_clips(clips, tmp_path / "other")


def test_every_clip_that_is_missing_or_there_twice_is_named(tmp_path):
    write_clip(tmp_path / "one/plane")
    write_clip(tmp_path / "two/plane")
    with pytest.raises(DatasetError) as raised:
        find_clips(tmp_path, ["train", "plane", "boat"])
    assert "train is missing" in str(raised.value) and "boat is missing" in str(raised.value)
    assert "plane exists 2 times" in str(raised.value)


def test_the_script_lays_out_both_halves(tmp_path, capsys, monkeypatch):
    loader = SourceFileLoader("make_hold_out", str(CHECKOUT / "scripts/make_hold_out"))
    spec = importlib.util.spec_from_loader("make_hold_out", loader)
    script = importlib.util.module_from_spec(spec)
    loader.exec_module(script)
    for name in SMALL_HOLD_OUT:
        write_clip(tmp_path / "data/archive" / name)
    monkeypatch.setattr(
        "sys.argv", ["make_hold_out", str(tmp_path / "data"), str(tmp_path / "out")]
    )
    script.main()
    halves = {half: len(list((tmp_path / "out" / half).iterdir())) for half in script.HALVES}
    assert halves == {"real": 7, "rendered": 8, "all": 15}
    assert "| lucia | 1 | 2 | 0 | 0 |" in capsys.readouterr().out
