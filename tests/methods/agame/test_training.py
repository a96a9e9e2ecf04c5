"""Recipes, the order of epochs, and that a network learns."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskcast.core.config import config_from_dict, config_to_dict
from maskcast.core.errors import ConfigError, WeightsError
from maskcast.core.training import Task
from maskcast.data.dataset import Video
from maskcast.methods.agame.config import tiny
from maskcast.methods.agame.snippets import ClipSnippets, Snippet, SnippetConfig
from maskcast.methods.agame.training import (
    RECIPES,
    AgameTask,
    AgameTrainingConfig,
    SnippetBatch,
    read_trunk_weights,
)
from maskcast.methods.agame.training_data import DataConfig, SnippetEpoch, draw_order, partition


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


def test_held_out_videos_are_disjoint_and_stay_the_same() -> None:
    videos = [Video(f"v{i}", (), (1, 1), {}, {}) for i in range(50)]
    kept, apart = partition(videos, 10)
    assert len(apart) == 10
    assert not {v.name for v in kept} & {v.name for v in apart}
    _, fewer = partition(videos[::-1], 5)
    assert {v.name for v in fewer} <= {v.name for v in apart}


def test_recipes_are_those_of_the_publication() -> None:
    one, two = RECIPES["agame-stage1"].config, RECIPES["agame-stage2"].config
    assert (one.snippets.size, one.snippets.length, one.loop.batch_size) == ((240, 432), 8, 4)
    assert (two.snippets.size, two.snippets.length, two.loop.batch_size) == ((480, 864), 14, 2)
    assert (one.loop.epochs, two.loop.epochs) == (160, 100)
    rates = [(c.loop.optimiser.kind, c.loop.optimiser.rate) for c in (one, two)]
    assert rates == [("adam", 1e-4), ("adam", 1e-5)]
    assert [c.loop.optimiser.weight_decay for c in (one, two)] == [1e-5, 1e-6]
    assert [c.loop.schedule.factor for c in (one, two)] == [0.975, 0.985]
    assert (one.auxiliary, two.auxiliary) == (1.0, 0.0)
    assert (one.data.epoch, two.data.epoch) == ("pass", "balanced")
    davis = RECIPES["agame-davis-stage1"].config
    assert (davis.loop.epochs, davis.loop.schedule.factor) == (80, 0.95)
    assert (davis.data.draws, davis.snippets.zoom) == (2600, True)
    later = RECIPES["agame-davis-stage2"].config
    assert (later.data.draws, later.snippets.zoom, later.loop.epochs) == (118, False, 100)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_go_through_json(name: str) -> None:
    config = RECIPES[name].config
    assert config_from_dict(AgameTrainingConfig, config_to_dict(config)) == config


def write_videos(root: Path) -> None:
    """Two videos of a bright square that moves over a dark ground, and a folder of pictures."""
    for video in ("one", "two"):
        for index in range(5):
            frame = np.full((32, 48, 3), 40, np.uint8)
            mask = np.zeros((32, 48), np.uint8)
            mask[8:26, 4 + 3 * index : 24 + 3 * index] = 1
            frame[mask == 1] = (220, 180, 60)
            for kind, picture in (("frames", frame), ("masks", mask)):
                path = root / "videos" / video / kind / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(path)
            for kind, picture in (("images", frame), ("masks", mask)):
                path = root / "pictures" / kind / f"{video}{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(path)


def config_for(root: Path, **data: object) -> AgameTrainingConfig:
    return AgameTrainingConfig(
        model=tiny(),
        data=DataConfig(videos=(root / "videos",), **data),  # type: ignore[arg-type]
        snippets=SnippetConfig(size=(32, 48), length=3, visible_pixels=20),
        validation_length=4,
    )


def test_a_network_learns_to_follow_a_square(tmp_path: Path) -> None:
    write_videos(tmp_path)
    torch.manual_seed(0)
    task = AgameTask(config_for(tmp_path, held_out=("two",)))
    assert isinstance(task, Task)
    (group,) = task.parameter_groups()
    optimiser = torch.optim.Adam(group["params"], lr=1e-3)
    losses = []
    task.module.train()
    batch = task.collate([task.dataset(0)[0]] * 2)
    for _ in range(15):
        found = task.loss(batch)
        torch.testing.assert_close(found["total"], found["main"] + found["auxiliary"])
        optimiser.zero_grad()
        found["total"].backward()
        optimiser.step()
        losses.append(float(found["total"].detach()))
    assert np.mean(losses[-3:]) < 0.6 * np.mean(losses[:3])
    task.module.eval()
    with torch.no_grad():
        assert 0.25 <= task.validate()["iou"] <= 1  # the given frame alone makes a quarter


def test_synthetic_data_and_pictures_are_used_when_given(tmp_path: Path) -> None:
    write_videos(tmp_path)
    pictures = (tmp_path / "pictures",)
    task = AgameTask(config_for(tmp_path, synthetic=pictures, pictures=pictures, draws=5))
    sources = task.sources.training
    assert [type(source) is ClipSnippets for source in sources] == [True, False, True]
    assert sources[0].name == "made-up"
    epoch = task.dataset(0)
    assert Counter(place for place, _ in epoch.order) == {0: 5, 1: 2, 2: 5}  # a pass
    snippet = sources[0].draw(0, np.random.default_rng(0))
    assert snippet.frames.shape == (3, 3, 32, 48)
    assert snippet.labels[0].sum() > 0
    assert AgameTask(config_for(tmp_path)).data_fingerprint() != task.data_fingerprint()


def test_a_weight_of_zero_and_missing_data_are_understood(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to train on"):
        _ = AgameTask(AgameTrainingConfig(model=tiny())).sources
    with pytest.raises(ConfigError, match="all 0"):
        DataConfig(
            **{
                f"{name}_weight": 0.0
                for name in ("davis", "youtube_vos", "synthetic", "videos", "pictures")
            }
        )  # type: ignore[arg-type]
    write_videos(tmp_path)
    with pytest.raises(ConfigError, match="held-out videos are not there: three"):
        _ = AgameTask(config_for(tmp_path, held_out=("three",))).sources


def test_the_loss_takes_the_precision_of_frames_and_the_void_of_labels() -> None:
    torch.manual_seed(0)
    task = AgameTask(replace(AgameTrainingConfig(model=tiny()), auxiliary=0.0, recompute=True))
    frames = torch.randint(0, 255, (1, 2, 3, 32, 32), dtype=torch.uint8)
    labels = torch.zeros(1, 2, 32, 32, dtype=torch.uint8)
    labels[:, 0, 8:24, 8:24] = 1
    labels[:, 1] = 255
    found = task.loss(SnippetBatch(frames, labels))
    assert set(found) == {"total", "main"}
    assert float(found["total"].detach()) < 1e-6  # only the given frame is left


def test_the_trunk_starts_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "resnet18.pth"
    trunk = AgameTask(AgameTrainingConfig(model=tiny())).network.trunk
    weights = {k: torch.full_like(t, 0.25) for k, t in trunk.resnet.state_dict().items()}
    torch.save(weights, path)
    task = AgameTask(AgameTrainingConfig(model=tiny(), trunk_weights=path))
    assert task.network.trunk.resnet.conv1.weight.eq(0.25).all()
    torch.save({"epoch": 3}, path)
    with pytest.raises(WeightsError, match="no state dict"):
        read_trunk_weights(path)


def test_exported_weights_build_the_same_method() -> None:
    export = AgameTask(AgameTrainingConfig(model=tiny())).export()
    assert export.method == "agame"
    assert export.config == config_to_dict(tiny())
    assert "trunk.resnet.conv1.weight" in export.tensors
