"""Items of a mixture depend on (seed, epoch, index) alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from maskcast.core.errors import ConfigError, DataError
from maskcast.data.clips import DrawnClip
from maskcast.methods.lwl.training.clip_settings import ClipProcessing
from maskcast.methods.lwl.training.mixture import MixedClips, Share

PROCESSING = ClipProcessing(size=(12, 20))


@dataclass(frozen=True)
class Grey:
    """A source of noise around one grey level."""

    name: str
    level: int

    def __len__(self) -> int:
        return 1

    def draw(self, generator: np.random.Generator, test_frames: int) -> DrawnClip:
        mask = np.zeros((30, 40), dtype=np.uint8)
        mask[10:20, 10:25] = 1
        frames = tuple(
            generator.integers(self.level, self.level + 20, (30, 40, 3), dtype=np.uint8)
            for _ in range(1 + test_frames)
        )
        return DrawnClip(f"{self.name}/{generator.integers(1000)}", frames, (mask,) * len(frames))


class Broken(Grey):
    def draw(self, generator: np.random.Generator, test_frames: int) -> DrawnClip:
        raise DataError("the file is damaged")


def mixture(seed: int = 0, epoch: int = 0, **sources: float) -> MixedClips:
    weights = sources or {"dark": 1.0, "light": 3.0}
    shares = [
        Share(Grey(name, 60 * place), weight)
        for place, (name, weight) in enumerate(weights.items())
    ]
    return MixedClips(
        shares, length=400, epoch=epoch, seed=seed, processing=PROCESSING, test_frames=2
    )


def test_an_item_is_the_same_whenever_it_is_read():
    forwards, backwards = mixture(), mixture()
    first = [forwards[index] for index in range(5)]
    second = [backwards[index] for index in reversed(range(5))][::-1]
    for one, other in zip(first, second, strict=True):
        assert one.name == other.name
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.masks, other.masks)
        assert torch.equal(one.boxes, other.boxes)


def test_the_number_of_loader_processes_changes_nothing():
    batches = [list(islice(DataLoader(mixture(), 2, num_workers=count), 3)) for count in (0, 2)]
    for alone, shared in zip(*batches, strict=True):
        assert alone.images.shape == (2, 3, 3, 12, 20)
        assert torch.equal(alone.images, shared.images) and alone.name == shared.name


def test_another_seed_or_epoch_has_other_items():
    names = {mixture(seed, epoch)[3].name for seed in range(3) for epoch in range(3)}
    assert len(names) == 9


def test_sources_are_drawn_by_their_weights():
    data = mixture()
    count = Counter(data.identity(index).split("/")[0] for index in range(400))
    assert count["light"] / 400 == pytest.approx(0.75, abs=0.07)
    none = mixture(dark=0.0, light=2.0)
    assert {none.identity(index).split("/")[0] for index in range(50)} == {"light"}


def test_an_item_has_a_train_frame_and_the_test_frames():
    sample = mixture()[0]
    assert sample.images.shape == (3, 3, 12, 20) and sample.images.dtype == torch.uint8
    assert sample.masks.shape == (3, 12, 20) and sample.boxes.shape == (3, 4)


def test_identity_names_the_item_even_if_it_cannot_be_read():
    data = mixture()
    assert data.identity(7) == data[7].name
    broken = MixedClips(
        [Share(Broken("torn", 0), 1.0)], length=1, epoch=0, seed=0, processing=PROCESSING
    )
    assert broken.identity(0) == "an unreadable clip of torn (the file is damaged)"
    with pytest.raises(DataError):
        broken[0]


def test_an_epoch_ends_and_nonsense_is_refused():
    assert len(mixture()) == 400
    with pytest.raises(IndexError):
        mixture()[400]
    with pytest.raises(ConfigError):
        mixture(dark=-1.0)
    with pytest.raises(ConfigError):
        mixture(dark=0.0)
