"""No method can be trained on a validation video of DAVIS, wherever it is read from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixtures.imitations import imitate_davis2017, write_frame, write_labels
from maskcast.core.errors import DatasetError
from maskcast.methods.agame.training import data as agame
from maskcast.methods.agame.training.config import SnippetConfig
from maskcast.methods.eosvos.training.config import TaskDataConfig
from maskcast.methods.eosvos.training.tasks import open_tasks
from maskcast.methods.lwl.training import data as lwl

Open = Callable[..., object]


def open_lwl(**data: Any) -> object:
    weights = {f"{kind}_weight": float(kind in data) for kind in ("youtube_vos", "davis", "videos")}
    return lwl.TrainingSources.open(lwl.DataConfig(**weights, **data), query_frames=1)


def open_agame(**data: Any) -> object:
    return agame.TrainingSources.open(
        agame.DataConfig(**data), SnippetConfig(), validation_length=2
    )


def open_eosvos(**data: Any) -> object:
    return open_tasks(TaskDataConfig(**data))


every_method = pytest.mark.parametrize("open_data", [open_lwl, open_agame, open_eosvos])


@every_method
def test_in_a_folder_of_videos(open_data: Open, tmp_path: Path) -> None:
    for name in ("bear", "drift-chicane"):
        write_frame(tmp_path / name / "frames/0.png", np.zeros((8, 8, 3), np.uint8))
        write_labels(tmp_path / name / "masks/0.png", np.eye(8, dtype=np.uint8))
    with pytest.raises(DatasetError, match="drift-chicane has the name of a validation video"):
        open_data(videos=(tmp_path,))


@every_method
def test_in_a_list_of_davis(open_data: Open, tmp_path: Path) -> None:
    root = imitate_davis2017(tmp_path, videos=1, frames=1)
    with (root / "ImageSets/2017/train.txt").open("a") as names:
        names.write("libby\n")
    with pytest.raises(DatasetError, match="libby is a video of the validation split"):
        open_data(davis=root)
