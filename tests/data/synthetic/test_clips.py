"""Synthetic clips: repeatable, exact, and never what the demonstration shows."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from maskcast.core.errors import ConfigError, UsageError
from maskcast.data.synthetic import textures
from maskcast.data.synthetic.clips import (
    FIRST_RESERVED_SEED,
    SyntheticClip,
    SyntheticClips,
    SyntheticConfig,
    make_clip,
    visible_clip,
)
from maskcast.data.synthetic.cutouts import ProceduralCutouts
from maskcast.data.synthetic.demo import DEMO_SEED, DEMO_SHAPES, DEMO_TEXTURES, make_demo_clip
from maskcast.data.synthetic.scenes import ProceduralScenes
from maskcast.data.synthetic.stage import Cutout, FilmConfig
from maskcast.data.synthetic.textures import TRAINING_SHAPES, TRAINING_TEXTURES

SMALL = (48, 80)


def test_the_same_seed_makes_the_same_clip_and_another_one_another():
    first, again, other = (make_clip(seed, frames=3, size=SMALL) for seed in (7, 7, 8))
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.label_maps, again.label_maps)
    assert not np.array_equal(first.frames, other.frames)


def test_a_moment_does_not_depend_on_the_others():
    every = make_clip(3, frames=9, size=SMALL, times=tuple(range(9)))
    some = make_clip(3, size=SMALL, times=(0, 4, 8))
    assert np.array_equal(every.label_maps[[0, 4, 8]], some.label_maps)
    assert np.array_equal(every.frames[[0, 4, 8]], some.frames)


@pytest.mark.parametrize("seed", range(12))
def test_every_object_is_visible_at_first_and_the_background_has_no_id(seed):
    clip = make_clip(seed, frames=2, size=SMALL, objects=(1, 3))
    assert clip.frames.shape == (2, *SMALL, 3) and clip.frames.dtype == np.uint8
    assert 1 <= len(clip.ids) <= 3
    assert set(np.unique(clip.label_maps[0])) == {0, *clip.ids}
    assert set(np.unique(clip.label_maps[1])) <= {0, *clip.ids}


def test_objects_move():
    moved = [make_clip(seed, size=SMALL, times=(0, 40)).label_maps for seed in range(4)]
    assert all((maps[0] != maps[1]).mean() > 0.01 for maps in moved)


def test_what_the_demonstration_shows_is_never_made_for_training():
    assert not DEMO_SHAPES & set(TRAINING_SHAPES)
    assert not DEMO_TEXTURES & set(TRAINING_TEXTURES)
    with pytest.raises(UsageError, match="higher seeds are for the demo"):
        make_clip(DEMO_SEED)
    with pytest.raises(UsageError, match="lower seeds are for training"):
        make_demo_clip(frames=1, seed=FIRST_RESERVED_SEED - 1)
    with pytest.raises(UsageError):
        make_clip(-1)


def test_training_draws_only_from_what_is_listed_for_training(monkeypatch):
    used: list[str] = []

    def noted(name, maker):
        def make(generator, size):
            used.append(name)
            return maker(generator, size)

        return make

    for kind in ("TRAINING_SHAPES", "TRAINING_TEXTURES"):
        makers = getattr(textures, kind)
        noting = {name: noted(name, maker) for name, maker in makers.items()}
        monkeypatch.setattr(textures, kind, noting)
    generator = np.random.default_rng(0)
    for _ in range(60):
        ProceduralCutouts().draw_cutout(generator, 24)
    ProceduralScenes().draw_scene(generator, SMALL)
    assert set(used) == set(TRAINING_SHAPES) | set(TRAINING_TEXTURES)


def test_seeds_of_training_stay_below_the_reserved_ones():
    seeds = []
    for seed in range(8):
        name = SyntheticClips(size=SMALL).draw(np.random.default_rng(seed), 1).name
        seeds.append(int(name.split()[2].rstrip(",")))
    assert max(seeds) < FIRST_RESERVED_SEED and len(set(seeds)) == 8


def test_synthetic_clips_are_a_source_that_travels_to_other_processes():
    source = pickle.loads(pickle.dumps(SyntheticClips(size=SMALL)))
    clip = source.draw(np.random.default_rng(1), 3)
    assert len(clip.frames) == len(clip.masks) == 4
    assert all(mask.max() == 1 and mask.sum() > 10 for mask in clip.masks)


def test_frames_that_do_not_show_the_object_give_way_to_others():
    label_maps = np.zeros((4, 8, 8), dtype=np.uint8)
    label_maps[0, :4, :4] = label_maps[2, :4, :4] = 3
    frames = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    clip = visible_clip("c", SyntheticClip(frames, label_maps, (3,)), 3, np.random.default_rng(0))
    assert [int(frame[0, 0, 0]) for frame in clip.frames] == [0, 2, 2, 2]
    assert all(mask.sum() == 16 for mask in clip.masks)


def test_the_object_of_a_synthetic_clip_is_gone_from_some_frames_if_wanted():
    clips = SyntheticClips(size=(60, 100), absent=1.0)
    lacking = 0
    for seed in range(20):
        clip = clips.draw(np.random.default_rng(seed), 4)
        assert clip.name.endswith("object 1") and len(clip.frames) == 5
        shown = [int(mask.sum()) for mask in clip.masks]
        assert shown[0] > 10
        lacking += 0 in shown[1:]
    assert lacking >= 16
    with pytest.raises(ConfigError, match="absent"):
        SyntheticClips(absent=-1.0)


def test_a_source_of_objects_and_one_of_scenes_take_the_place_of_noise():
    class Red:
        def draw_cutout(self, generator, resolution):
            image = torch.zeros(3, resolution, resolution)
            image[0] = 1
            alpha = torch.zeros(resolution, resolution)
            alpha[2:-2, 2:-2] = 1
            return Cutout(image, alpha)

    class Blue:
        def draw_scene(self, generator, size):
            scene = torch.zeros(3, *size)
            scene[2] = 1
            return scene

    film = FilmConfig(blur=0, noise=0, jpeg=0, light_change=0)
    config = SyntheticConfig(look_alike=0, occluder=0, shadow=0, film=film)
    clip = make_clip(
        5, size=SMALL, times=(0, 20), objects=(1, 1), cutouts=Red(), scenes=Blue(), config=config
    )
    red = clip.frames[..., 0].astype(int) > clip.frames[..., 2].astype(int)
    # the edge may fall to either side where both colours are about as strong
    assert (red != (clip.label_maps == 1)).mean() < 0.01
    assert red.any()


def test_nonsense_is_refused():
    with pytest.raises(ConfigError, match=r"must be in \[0, 1\]"):
        SyntheticConfig(look_alike=2)
    with pytest.raises(ConfigError, match="low to high"):
        SyntheticConfig(pace=(2, 1))
