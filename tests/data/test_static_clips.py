"""One picture becomes a clip: object and background move apart, masks stay exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fixtures.imitations import write_frame, write_labels
from maskcast.core.errors import ConfigError, DatasetError
from maskcast.data.readers.image_pairs import read_image_pairs
from maskcast.data.static_clips import StaticClips, StaticConfig, fill_hole
from maskcast.data.synthetic.stage import Cutout, FilmConfig

ALONE = StaticConfig(
    look_alike=0,
    stranger=0,
    other_background=0,
    film=FilmConfig(blur=0, noise=0, jpeg=0, light_change=0),
)


def red_disc_on_green(size=(80, 120)) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: size[0], : size[1]]
    label_map = (np.hypot(x - 50, y - 40) < 20).astype(np.uint8)
    frame = np.zeros((*size, 3), dtype=np.uint8)
    frame[..., 1] = 200
    frame[label_map == 1] = (220, 10, 10)
    return frame, label_map


@pytest.fixture
def pictures(tmp_path):
    frame, label_map = red_disc_on_green()
    write_frame(tmp_path / "images/a.png", frame)
    write_labels(tmp_path / "masks/a.png", label_map)
    return read_image_pairs(tmp_path).videos


def red(frame: np.ndarray) -> np.ndarray:
    return frame[..., 0].astype(int) > frame[..., 1].astype(int)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_the_object_begins_where_it_was_and_its_masks_follow_it(pictures):
    clips = StaticClips("static", pictures, config=ALONE)
    assert len(clips) == 1
    for seed in range(5):
        clip = clips.draw(np.random.default_rng(seed), 3)
        assert overlap(clip.masks[0] == 1, red_disc_on_green()[1] == 1) > 0.85
        for frame, mask in zip(clip.frames, clip.masks, strict=True):
            assert overlap(mask == 1, red(frame)) > 0.85
        assert min(overlap(mask == 1, clip.masks[0] == 1) for mask in clip.masks[1:]) < 0.9


def test_a_look_alike_is_background(pictures):
    everywhere = StaticConfig(look_alike=1, stranger=0, other_background=0, film=ALONE.film)
    clips = StaticClips("static", pictures, config=everywhere)
    seen = []
    for seed in range(6):
        clip = clips.draw(np.random.default_rng(seed), 1)
        seen.append(int((red(clip.frames[0]) & (clip.masks[0] == 0)).sum()))
    assert max(seen) > 300


def test_a_hole_is_filled_from_around_it():
    frame, label_map = red_disc_on_green()
    filled = fill_hole(torch.from_numpy(frame).permute(2, 0, 1) / 255, label_map == 1)
    assert filled[0].max() < 0.02 and filled[2].max() < 0.02
    torch.testing.assert_close(filled[1], torch.full((80, 120), 200 / 255), atol=1e-4, rtol=0)
    # what is not hidden stays as it is
    picture = torch.rand(3, 80, 120)
    kept = fill_hole(picture, label_map == 1)
    torch.testing.assert_close(kept[:, :, :20], picture[:, :, :20])


def test_large_pictures_are_made_smaller(pictures):
    config = StaticConfig(longest_side=60, film=ALONE.film)
    clip = StaticClips("static", pictures, config=config).draw(np.random.default_rng(0), 1)
    assert clip.frames[0].shape == (40, 60, 3) and clip.masks[0].shape == (40, 60)


def test_a_picture_with_many_objects_is_drawn_as_often_as_one_with_one_if_wanted(tmp_path):
    frame, label_map = red_disc_on_green()
    many = np.zeros_like(label_map)
    for object_id in range(1, 5):
        many[20:60, 20 * object_id : 20 * object_id + 12] = object_id
    for name, labels in (("many", many), ("one", label_map)):
        write_frame(tmp_path / f"images/{name}.png", frame)
        write_labels(tmp_path / f"masks/{name}.png", labels)
    pair = read_image_pairs(tmp_path).videos

    def share_of_one(uniform_over: str) -> float:
        clips = StaticClips("static", pair, config=ALONE, uniform_over=uniform_over)
        assert len(clips) == 5
        drawn = [clips.draw(np.random.default_rng(seed), 1).name for seed in range(120)]
        return sum(name.startswith("static/one,") for name in drawn) / 120

    assert share_of_one("targets") == pytest.approx(1 / 5, abs=0.1)
    assert share_of_one("videos") == pytest.approx(1 / 2, abs=0.12)


def test_an_object_is_gone_from_some_test_frames_as_often_as_wanted(pictures):
    clips = StaticClips("static", pictures, config=ALONE, absent=0.5)
    lacking = []
    for seed in range(60):
        clip = clips.draw(np.random.default_rng(seed), 4)
        shown = [int((mask == 1).sum()) for mask in clip.masks]
        assert shown[0] > 800
        lacking.append(0 in shown[1:])
    assert np.mean(lacking) == pytest.approx(0.5, abs=0.17)


def test_an_object_that_is_gone_is_not_in_the_picture(pictures):
    clips = StaticClips("static", pictures, config=ALONE, absent=1.0, strangers=WhiteSquares())
    gone = {"left": 0, "hidden": 0}
    for seed in range(40):
        clip = clips.draw(np.random.default_rng(seed), 3)
        for frame, mask in zip(clip.frames[1:], clip.masks[1:], strict=True):
            if not mask.any():
                # boards show the picture itself, with its red disc; squares are white
                hidden = (frame.min(axis=2) > 200).any() or red(frame).any()
                gone["hidden" if hidden else "left"] += 1
            elif mask.sum() > 100:
                assert (red(frame) & (mask == 1)).sum() > 0.8 * mask.sum()
    assert gone["left"] > 15 and gone["hidden"] > 15


def test_copies_and_strangers_are_known_as_other_objects(pictures):
    config = StaticConfig(look_alike=1, stranger=1, other_background=0, film=ALONE.film)
    clips = StaticClips("static", pictures, config=config)
    ids = set()
    for seed in range(6):
        clip = clips.draw(np.random.default_rng(seed), 2)
        for others, mask in zip(clip.others, clip.masks, strict=True):
            assert not ((others > 0) & (mask == 1)).any()
            ids |= set(np.unique(others).tolist())
    assert ids == {0, 2, 3}


class WhiteSquares:
    def draw_cutout(self, generator: np.random.Generator, resolution: int) -> Cutout:
        return Cutout(torch.ones(3, 8, 8), torch.ones(8, 8))


def test_strangers_come_from_where_they_are_given(pictures):
    config = StaticConfig(look_alike=0, stranger=1, other_background=0, film=ALONE.film)
    clips = StaticClips("static", pictures, config=config, strangers=WhiteSquares())
    white = 0
    for seed in range(6):
        clip = clips.draw(np.random.default_rng(seed), 1)
        pixels = clip.frames[0][clip.others[0] == 3]
        white += int((pixels.min(axis=1, initial=255) > 150).sum()) if len(pixels) else 0
    assert white > 100


def test_the_same_generator_makes_the_same_clip(pictures):
    clips = StaticClips("static", pictures)
    one, other = (clips.draw(np.random.default_rng(4), 2) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one.frames, other.frames, strict=True))


def test_nonsense_is_refused(pictures):
    with pytest.raises(DatasetError, match="no object"):
        StaticClips("static", pictures, share=(0.9, 1.0))
    with pytest.raises(ConfigError, match=r"must be in \[0, 1\]"):
        StaticConfig(stranger=-0.1)
    with pytest.raises(ConfigError, match="absent"):
        StaticClips("static", pictures, absent=1.5)
