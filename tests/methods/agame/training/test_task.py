"""A network learns, on data that are whole or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from maskcast.core.config import config_to_dict
from maskcast.core.errors import ConfigError, DataError
from maskcast.core.training import Task
from maskcast.methods.agame.presets import tiny
from maskcast.methods.agame.training.config import AgameTrainingConfig, DataConfig, SnippetConfig
from maskcast.methods.agame.training.task import AgameTask, SnippetBatch


def write_videos(root: Path) -> None:
    """Write two videos of a bright square that moves over a dark ground."""
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
    optimiser = torch.optim.Adam(group["params"], lr=1e-4)
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
        parts = [task.validate_part(part) for part in range(task.validation_parts())]
    assert len(parts) == 1
    assert 0.25 <= parts[0]["iou"] <= 1  # the given frame alone makes a quarter


def test_a_broken_picture_of_the_hold_out_is_reported_to_the_loop(tmp_path: Path) -> None:
    write_videos(tmp_path)
    task = AgameTask(config_for(tmp_path, held_out=("two",)))
    (tmp_path / "videos/two/frames/0.png").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"two/frames/0\.png"):
        task.validate_part(0)


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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"auxiliary": -0.5}, "auxiliary must be at least 0, got -0.5"),
        ({"trained_stages": 5}, "trained_stages must be in .0, 4., got 5"),
        ({"validation_length": 1}, "validation_length must be at least 2, got 1"),
    ],
)
def test_nonsense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AgameTrainingConfig(**settings)


def test_exported_weights_build_the_same_method() -> None:
    export = AgameTask(AgameTrainingConfig(model=tiny())).export()
    assert export.method == "agame"
    assert export.config == config_to_dict(tiny())
    assert "trunk.resnet.conv1.weight" in export.tensors
    assert "licence" not in export.card
    licensed = AgameTask(AgameTrainingConfig(model=tiny(), licence="research only"))
    assert licensed.export().card["licence"] == "research only"
