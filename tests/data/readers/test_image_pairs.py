"""Folders of pictures and masks, and what is cut out of them."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.imitations import write_frame, write_labels
from maskcast.core.errors import DatasetError
from maskcast.data.readers.image_pairs import (
    PairCutouts,
    PhotoScenes,
    cut_out,
    objects_of,
    read_image_pairs,
    read_photographs,
)


def red_disc_on_green(size=(60, 90)) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: size[0], : size[1]]
    label_map = (np.hypot(x - 40, y - 30) < 15).astype(np.uint8)
    frame = np.zeros((*size, 3), dtype=np.uint8)
    frame[..., 1] = 200
    frame[label_map == 1] = (220, 10, 10)
    return frame, label_map


@pytest.fixture
def pairs(tmp_path):
    frame, label_map = red_disc_on_green()
    label_map[0, :20] = 255
    label_map[50:52, 80:82] = 2
    write_frame(tmp_path / "images/a.jpg", frame)
    write_frame(tmp_path / "images/b.PNG", frame)
    write_frame(tmp_path / "images/without-a-mask.png", frame)
    for name in "ab":
        write_labels(tmp_path / "masks" / f"{name}.png", label_map)
    return tmp_path


def test_a_pair_is_a_video_of_one_frame(pairs):
    found = read_image_pairs(pairs)
    assert [video.name for video in found] == ["a", "b"]
    assert found[1].size == (60, 90) and found[1].has_void
    assert np.array_equal(found[1].read_frame(0), red_disc_on_green()[0])
    assert sorted(np.unique(found[0].read_annotation(0))) == [0, 1, 2, 255]


def test_masks_of_nought_and_255_show_one_object(tmp_path):
    frame, mask = red_disc_on_green()
    for name, shown in (("a", 0 * mask), ("b", 255 * mask)):  # the first mask tells nothing
        write_frame(tmp_path / f"images/{name}.jpg", frame)
        write_labels(tmp_path / f"masks/{name}.png", shown)
    found = read_image_pairs(tmp_path)
    assert np.array_equal(found[1].read_annotation(0), mask)
    assert [(each.picture, each.object_id) for each in objects_of(found.videos)] == [(1, 1)]


def test_everything_that_is_wrong_is_said_at_once(pairs):
    for name in ("a.jpg", "b.PNG"):
        (pairs / "images" / name).write_bytes(b"no picture")
    write_labels(pairs / "masks/stray.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DatasetError, match=r"(?s)2 problems.*stray.*cannot open 2 of 2 images"):
        read_image_pairs(pairs)
    with pytest.raises(DatasetError, match=r"the folder .* does not exist"):
        read_image_pairs(pairs / "nowhere")


def test_a_broken_picture_or_mask_among_whole_ones_is_left_out(pairs, caplog):
    (pairs / "images/a.jpg").write_bytes(b"no picture")
    assert [video.name for video in read_image_pairs(pairs)] == ["b"]
    assert "a.jpg as an image" in caplog.text
    (pairs / "images/a.jpg").write_bytes((pairs / "images/b.PNG").read_bytes())
    (pairs / "masks/b.png").write_bytes(b"")
    found = objects_of(read_image_pairs(pairs).videos)
    assert [one.picture for one in found] == [0]
    assert "masks/b.png as an image" in caplog.text


def test_objects_are_listed_with_their_size(pairs):
    found = objects_of(read_image_pairs(pairs).videos)
    disc = int(red_disc_on_green()[1].sum())
    assert [(one.picture, one.object_id, one.pixels) for one in found] == [
        (0, 1, disc),
        (1, 1, disc),
    ]
    assert found[0].share == disc / 5400


def test_a_cutout_carries_the_object_and_no_rim_of_what_was_behind_it():
    frame, label_map = red_disc_on_green()
    cutout = cut_out(frame, label_map == 1)
    covered = cutout.alpha > 0
    assert 0.8 * label_map.sum() < (cutout.alpha >= 0.5).sum() <= label_map.sum()
    assert cutout.image[0][covered].min() > 0.5 and cutout.image[1][covered].max() < 0.5
    border = [cutout.alpha[0], cutout.alpha[-1], cutout.alpha[:, 0], cutout.alpha[:, -1]]
    assert all(float(side.max()) == 0 for side in border)


def test_a_cutout_has_the_wanted_size(pairs):
    source = PairCutouts(read_image_pairs(pairs).videos)
    cutout = source.draw_cutout(np.random.default_rng(0), 50)
    assert max(cutout.alpha.shape) == 50 and cutout.image.shape[1:] == cutout.alpha.shape
    with pytest.raises(DatasetError, match="no object to cut out"):
        PairCutouts(read_image_pairs(pairs).videos, share=(0.9, 1.0))


@pytest.mark.parametrize(("size", "largest"), [((30, 30), 80), ((20, 40), 60), ((40, 20), 80)])
def test_a_scene_is_a_part_of_a_photograph_in_its_own_proportions(tmp_path, size, largest):
    ramp = np.zeros((80, 120, 3), dtype=np.uint8)
    ramp[..., 0] = np.arange(120)
    ramp[..., 1] = np.arange(80)[:, None]
    write_frame(tmp_path / "ramp.png", ramp)
    scenes = PhotoScenes(read_photographs(tmp_path))
    for seed in range(6):
        scene = scenes.draw_scene(np.random.default_rng(seed), size)
        assert scene.shape == (3, *size)
        # a part of 70 to 100 % of the largest height that fits, perhaps mirrored
        width = 255 * abs(float(scene[0, 0, -1] - scene[0, 0, 0]))
        height = 255 * float(scene[1, -1, 0] - scene[1, 0, 0])
        assert 0.64 * largest < height < largest
        assert abs(width - height * size[1] / size[0]) < 5


def test_without_photographs_there_are_no_scenes():
    with pytest.raises(DatasetError, match="no photographs"):
        PhotoScenes([])


def test_the_layout_of_pascal_voc_is_read_too(tmp_path):
    label_map = np.zeros((6, 8), dtype=np.uint8)
    label_map[2, 2:5] = (1, 255, 2)
    for name in ("2007_000032", "2007_000039", "2008_000001"):
        write_frame(tmp_path / f"JPEGImages/{name}.jpg", np.zeros((6, 8, 3), np.uint8))
    for name in ("2007_000032", "2007_000039"):
        write_labels(tmp_path / f"SegmentationObject/{name}.png", label_map)
    found = read_image_pairs(tmp_path)
    assert [video.name for video in found] == ["2007_000032", "2007_000039"]
    assert sorted(np.unique(found[0].read_annotation(0))) == [0, 1, 2, 255]
    assert found[0].has_void
