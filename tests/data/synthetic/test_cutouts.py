"""Objects cut out of pictures, and from RGBA pictures."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures.small_pairs import red_disc_on_green, write_pairs
from maskcast.core.errors import ConfigError, DataError, DatasetError
from maskcast.data.readers.image_pairs import read_image_pairs
from maskcast.data.synthetic.cutouts import (
    CutoutFolder,
    CutoutMix,
    PairCutouts,
    cut_out,
    objects_of,
    read_cutout,
)
from maskcast.data.synthetic.stage import Cutout


def write_rgba(path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(
        path, **({"lossless": True, "exact": True} if path.suffix == ".webp" else {})
    )


def red_block(height: int = 20, width: int = 40) -> np.ndarray:
    """An opaque red block in a larger picture whose transparent pixels are green."""
    pixels = np.zeros((60, 80, 4), dtype=np.uint8)
    pixels[..., 1] = 255
    pixels[10 : 10 + height, 20 : 20 + width] = (200, 0, 0, 255)
    return pixels


@pytest.fixture
def pairs(tmp_path):
    return write_pairs(tmp_path)


@pytest.mark.parametrize("ending", [".webp", ".png"])
def test_an_object_is_cut_to_its_size_without_the_colour_of_transparent_pixels(tmp_path, ending):
    write_rgba(tmp_path / f"a{ending}", red_block())
    cutout = read_cutout(tmp_path / f"a{ending}", 84)
    # 40 × 20 pixels become 80 × 40, with 2 transparent pixels on each side
    assert cutout.alpha.shape == (44, 84)
    assert cutout.alpha[:2].max() == cutout.alpha[:, -2:].max() == 0
    assert cutout.alpha[2:-2, 2:-2].min() == 1
    inside = cutout.image[:, 2:-2, 2:-2]
    torch.testing.assert_close(inside[0], torch.full((40, 80), 200 / 255), atol=1e-5, rtol=0)
    assert inside[1:].max() == 0


def test_a_soft_edge_keeps_its_own_colour_when_made_smaller(tmp_path):
    pixels = red_block(40, 40)
    pixels[10:50, 20:22, 3] = 128
    write_rgba(tmp_path / "a.png", pixels)
    cutout = read_cutout(tmp_path / "a.png", 24)
    shown = cutout.alpha > 0.05
    assert cutout.image[1][shown].max() < 0.01
    np.testing.assert_allclose(cutout.image[0][shown], 200 / 255, atol=0.01)
    # the first two of 40 columns are half transparent: the first of 20 is so
    np.testing.assert_allclose(cutout.alpha[12, 2], 128 / 255, atol=0.13)


def test_a_folder_draws_all_its_objects_and_mirrors_half(tmp_path):
    for number, width in enumerate((16, 24, 32)):
        pixels = red_block(40, width)
        pixels[10:50, 20 : 20 + width // 2, :3] = (0, 0, 200)
        write_rgba(tmp_path / f"{'one' if number else 'two'}/{number}.webp", pixels)
    folder = CutoutFolder(tmp_path / "one", tmp_path / "two")
    generator = np.random.default_rng(0)
    drawn = [folder.draw_cutout(generator, 44) for _ in range(300)]
    widths = Counter(cutout.alpha.shape[1] - 4 for cutout in drawn)
    assert set(widths) == {16, 24, 32} and min(widths.values()) > 70
    mirrored = sum(float(cutout.image[0, 20, 4]) > 0.5 for cutout in drawn) / 300
    assert mirrored == pytest.approx(0.5, abs=0.1)


def test_what_is_no_cutout_is_named(tmp_path):
    write_rgba(tmp_path / "rgb.png", np.zeros((8, 8, 3), dtype=np.uint8))
    write_rgba(tmp_path / "empty.png", np.zeros((8, 8, 4), dtype=np.uint8))
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name, message in (("rgb", "no alpha"), ("empty", "transparent"), ("broken", "cannot read")):
        with pytest.raises(DataError, match=message):
            read_cutout(tmp_path / f"{name}.png", 20)
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match="contains no images"):
        CutoutFolder(tmp_path / "none")
    with pytest.raises(DatasetError, match="missing"):
        CutoutFolder(tmp_path / "missing")


class Constant:
    def __init__(self, value: float) -> None:
        self.value = value

    def draw_cutout(self, generator: np.random.Generator, resolution: int) -> Cutout:
        return Cutout(torch.full((3, 4, 4), self.value), torch.ones(4, 4))


def test_a_mix_draws_by_weight():
    mix = CutoutMix((Constant(0.0), Constant(1.0)), (1.0, 3.0))
    generator = np.random.default_rng(0)
    drawn = [float(mix.draw_cutout(generator, 4).image[0, 0, 0]) for _ in range(400)]
    assert np.mean(drawn) == pytest.approx(0.75, abs=0.07)
    with pytest.raises(ConfigError, match="2 sources"):
        CutoutMix((Constant(0.0), Constant(1.0)), (1.0,))
    with pytest.raises(ConfigError, match="positive"):
        CutoutMix((Constant(0.0),), (0.0,))


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
