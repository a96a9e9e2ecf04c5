"""Folders of videos to train on."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.imitations import write_frame, write_labels
from maskcast.core.errors import DatasetError, MissingFileError
from maskcast.data.readers.clip_folder import read_clip_folder


def make_video(folder, *, ending="png", masks=(0, 2), value=1, frames="frames"):
    for index in range(3):
        write_frame(folder / frames / f"{index:03d}.{ending}", np.full((6, 8, 3), 9, np.uint8))
    for index in masks:
        label_map = np.zeros((6, 8), dtype=np.uint8)
        label_map[:2] = value
        write_labels(folder / "masks" / f"{index:03d}.png", label_map)


def test_videos_of_several_roots_make_one_set(tmp_path):
    make_video(tmp_path / "first/b", ending="webp")
    make_video(tmp_path / "second/a", frames="images")
    (tmp_path / "second/notes").mkdir()
    found = read_clip_folder(tmp_path / "first", tmp_path / "second")
    assert [video.name for video in found] == ["b", "a"]
    assert found[0].frame_names == ("000", "001", "002")
    assert found[0].annotated_frames == (0, 2)
    assert found[0].read_annotation(1) is None
    assert found[0].has_void


def test_masks_of_0_and_255_are_one_object(tmp_path):
    make_video(tmp_path / "a", value=255)
    label_map = read_clip_folder(tmp_path)[0].read_annotation(0)
    assert np.unique(label_map).tolist() == [0, 1]


def test_the_first_mask_that_shows_anything_tells_what_255_is(tmp_path):
    make_video(tmp_path / "a", value=255)
    write_labels(tmp_path / "a/masks/000.png", np.zeros((6, 8), np.uint8))
    assert np.unique(read_clip_folder(tmp_path)[0].read_annotation(2)).tolist() == [0, 1]


def test_one_folder_of_masks_for_each_object(tmp_path):
    make_video(tmp_path / "a", masks=())
    for place, name in enumerate(("cat", "dog")):
        label_map = np.zeros((6, 8), np.uint8)
        label_map[place] = 255
        write_labels(tmp_path / "a/masks" / name / "001.png", label_map)
    assert np.unique(read_clip_folder(tmp_path)[0].read_annotation(1)).tolist() == [0, 1, 2]


def test_broken_first_files_do_not_keep_a_video_out(tmp_path):
    make_video(tmp_path / "a", value=255)
    for broken in ("a/frames/000.png", "a/masks/000.png"):
        (tmp_path / broken).write_bytes(b"")
    video = read_clip_folder(tmp_path)[0]
    assert video.size == (6, 8) and video.layout == "one_object"
    for broken in ("a/frames/001.png", "a/frames/002.png", "a/masks/002.png"):
        (tmp_path / broken).write_bytes(b"")
    with pytest.raises(DatasetError, match=r"cannot read .*masks/000.png as an image"):
        read_clip_folder(tmp_path)


def test_a_validation_video_cannot_be_trained_on(tmp_path):
    make_video(tmp_path / "car-shadow")
    make_video(tmp_path / "bear")
    with pytest.raises(DatasetError, match="car-shadow has the name of a validation video"):
        read_clip_folder(tmp_path)
    assert len(read_clip_folder(tmp_path, never=())) == 2


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    make_video(tmp_path / "one/a")
    make_video(tmp_path / "two/a")
    write_frame(tmp_path / "two/b/frames/0.png", np.zeros((6, 8, 3), np.uint8))
    make_video(tmp_path / "two/c", masks=(0, 7))
    with pytest.raises(DatasetError, match="3 problems with the videos in") as raised:
        read_clip_folder(tmp_path / "one", tmp_path / "two")
    for said in ("name of another video", "no folder of masks", "masks without a frame: 007"):
        assert said in str(raised.value)
    with pytest.raises(MissingFileError):
        read_clip_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no folder in them"):
        read_clip_folder(tmp_path / "empty")
