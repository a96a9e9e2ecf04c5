"""Which snippets an epoch has, and which data are opened."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures.imitations import imitate_davis2017, imitate_youtube_vos
from maskcast.core.errors import ConfigError, DatasetError
from maskcast.data.hold_outs import draw_hold_out
from maskcast.methods.agame.training import config as training_config
from maskcast.methods.agame.training import data as training_data
from maskcast.methods.agame.training.config import DataConfig, SnippetConfig
from maskcast.methods.agame.training.data import SnippetEpoch, TrainingSources, draw_order
from maskcast.methods.agame.training.snippets import ClipSnippets, Snippet, VideoSnippets


class Counted:
    """A source of so many targets."""

    def __init__(self, name: str, count: int) -> None:
        self.name, self.count = name, count

    def __len__(self) -> int:
        return self.count

    def draw(self, target: int, generator: np.random.Generator) -> Snippet:
        frames = torch.full((2, 3, 16, 16), target % 256, dtype=torch.uint8)
        return Snippet(frames, torch.zeros(2, 16, 16, dtype=torch.uint8), f"{self.name} {target}")


SOURCES = (Counted("davis", 30), Counted("youtube", 300))
BOTH = DataConfig(davis=Path("d"), youtube_vos=Path("y"))


def order(data: DataConfig, seed: int = 0) -> list[tuple[int, int]]:
    return draw_order(SOURCES, data, np.random.default_rng(seed))


def test_a_pass_is_every_video_once_in_another_order_each_time() -> None:
    found = order(replace(BOTH, epoch="pass"))
    assert Counter(found) == Counter([(0, t) for t in range(30)] + [(1, t) for t in range(300)])
    assert found != order(replace(BOTH, epoch="pass"), seed=1)
    assert found != sorted(found)


def test_a_balanced_epoch_is_half_and_half_without_replacement() -> None:
    found = order(replace(BOTH, epoch="balanced"))
    assert len(found) == len(set(found)) == 60
    shares = [
        sum(place == 0 for place, _ in order(replace(BOTH, epoch="balanced"), seed))
        for seed in range(30)
    ]
    assert 15 < np.mean(shares) < 27  # below a half: without replacement DAVIS runs out


def test_draws_go_by_weight_with_replacement() -> None:
    data = replace(BOTH, epoch="draws", draws=2000, youtube_vos_weight=3.0)
    found = order(data)
    assert len(found) == 2000
    assert 420 < sum(place == 0 for place, _ in found) < 580
    assert max(Counter(found).values()) > 1


def test_an_item_depends_on_seed_epoch_and_index_alone() -> None:
    config = SnippetConfig(size=(16, 16), length=2)
    first, again = (SnippetEpoch(SOURCES, BOTH, config, seed=1, epoch=2) for _ in range(2))
    other = SnippetEpoch(SOURCES, BOTH, config, seed=1, epoch=3)
    assert first[7].frames.equal(again[7].frames)
    assert first.identity(7) == first[7].name
    assert [first.identity(i) for i in range(9)] != [other.identity(i) for i in range(9)]
    assert first[len(first) + 7].name == first[7].name  # an epoch may ask for more


SNIPPETS = SnippetConfig(size=(32, 48), length=3, visible_pixels=20)


def opened(data: DataConfig) -> TrainingSources:
    return TrainingSources.open(data, SNIPPETS, validation_length=4)


def names(sources: Any) -> list[list[str]]:
    return [[video.name for video in s.videos] for s in sources if isinstance(s, VideoSnippets)]


@pytest.fixture
def youtube_vos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six small videos, of the size that is trained on."""
    monkeypatch.setattr(training_data, "YOUTUBE_VOS_SIZE", (72, 128))
    return imitate_youtube_vos(tmp_path / "youtube-vos", videos=6, frames=5)


def test_a_hold_out_is_drawn_and_always_the_same(youtube_vos: Path) -> None:
    data = DataConfig(youtube_vos=youtube_vos, youtube_vos_hold_out_size=2)
    found = opened(data)
    (kept,), (apart,) = names(found.training), names(found.held_out)
    assert (len(kept), len(apart)) == (4, 2)
    assert sorted(kept + apart) == [f"{number:010x}" for number in range(6)]
    assert names(opened(data).held_out) == [apart]
    assert apart == sorted(draw_hold_out(kept + apart, count=2))
    with pytest.raises(ConfigError, match=r"must be in .0, 5., got 300"):
        opened(DataConfig(youtube_vos=youtube_vos))
    assert opened(replace(data, youtube_vos_hold_out_size=0)).held_out == ()


def test_a_list_takes_the_place_of_the_draw(youtube_vos: Path, tmp_path: Path) -> None:
    file = tmp_path / "hold-out.txt"
    file.write_text("0000000004\n0000000001\n")
    data = DataConfig(youtube_vos=youtube_vos, youtube_vos_hold_out=file)
    found = opened(data)
    assert names(found.held_out) == [["0000000001", "0000000004"]]
    assert names(found.training) == [[f"{number:010x}" for number in (0, 2, 3, 5)]]
    file.write_text("0000000004\nunknown\n")
    with pytest.raises(DatasetError, match="no video unknown"):
        opened(data)


def test_only_videos_of_one_size_are_trained_on(
    youtube_vos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_data, "YOUTUBE_VOS_SIZE", (720, 1280))
    with pytest.raises(DatasetError, match=r"none of 4 videos of YouTube-VOS .* is 720×1280"):
        opened(DataConfig(youtube_vos=youtube_vos, youtube_vos_hold_out_size=2))


def test_davis_and_youtube_vos_make_snippets(youtube_vos: Path, tmp_path: Path) -> None:
    davis = imitate_davis2017(tmp_path / "davis", frames=5)
    found = opened(DataConfig(davis=davis, youtube_vos=youtube_vos, youtube_vos_hold_out_size=1))
    assert [source.name for source in found.training] == ["DAVIS", "YouTube-VOS"]
    thresholds = [s.candidate_pixels for s in found.training if isinstance(s, VideoSnippets)]
    assert thresholds == [25, 10]
    for source in found.training:
        snippet = source.draw(0, np.random.default_rng(0))
        assert snippet.frames.shape == (3, 3, 32, 48)
        assert snippet.labels[0].unique().tolist() == [0, 1]


def test_videos_of_davis_can_be_held_out_by_name(tmp_path: Path) -> None:
    davis = imitate_davis2017(tmp_path / "davis", frames=5)
    found = opened(DataConfig(davis=davis, held_out=("video-1",)))
    assert names(found.training) == [["video-0"]]
    assert names(found.held_out) == [["video-1"]]
    with pytest.raises(ConfigError, match="held-out videos do not exist: three"):
        opened(DataConfig(davis=davis, held_out=("video-1", "three")))


def write_pictures(root: Path) -> Path:
    """Write three pictures of a bright square, and their masks."""
    for number in range(3):
        mask = np.zeros((32, 48), np.uint8)
        mask[8:26, 4 + 3 * number : 24 + 3 * number] = 1
        frame = np.where(mask[..., None] == 1, (220, 180, 60), 40).astype(np.uint8)
        for kind, picture in (("images", frame), ("masks", mask)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(root / kind / f"{number}.png")
    return root


def test_synthetic_data_and_pictures_are_used_when_given(tmp_path: Path) -> None:
    pictures = (write_pictures(tmp_path / "pictures"),)
    davis = imitate_davis2017(tmp_path / "davis", frames=5)
    data = DataConfig(davis=davis, synthetic=pictures, pictures=pictures, draws=5)
    found = opened(data)
    assert [type(source) is ClipSnippets for source in found.training] == [False, True, True]
    synthetic = found.training[1]
    assert synthetic.name == "synthetic"
    epoch = SnippetEpoch(found.training, data, SNIPPETS, seed=0, epoch=0)
    assert Counter(place for place, _ in epoch.order) == {0: 2, 1: 5, 2: 5}  # a pass
    snippet = synthetic.draw(0, np.random.default_rng(0))
    assert snippet.frames.shape == (3, 3, 32, 48)
    assert snippet.labels[0].sum() > 0
    assert opened(DataConfig(davis=davis)).fingerprint != found.fingerprint


def test_nothing_to_draw_from_is_refused() -> None:
    with pytest.raises(ConfigError, match="no data to train on"):
        opened(DataConfig())
    weights: dict[str, Any] = {f"{name}_weight": 0.0 for name in training_config.SOURCES}
    with pytest.raises(ConfigError, match=r"one of davis_weight, .* must be positive"):
        DataConfig(**weights)
