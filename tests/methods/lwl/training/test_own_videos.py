"""A folder of videos alone starts a recipe of the small models."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fixtures.imitations import write_frame, write_labels
from maskcast.core.errors import ConfigError
from maskcast.data.hold_outs import draw_hold_out
from maskcast.methods.lwl.training.data import TrainingSources
from maskcast.methods.lwl.training.recipes import RECIPES

LABELS = np.zeros((60, 80), dtype=np.uint8)
LABELS[10:50, 20:60] = 1
NAMES = tuple(f"video-{number}" for number in range(12))


@pytest.fixture
def mine(tmp_path) -> Path:
    for name in NAMES:
        for index in range(8):
            frame = np.full((60, 80, 3), 10 * index, dtype=np.uint8)
            write_frame(tmp_path / f"{name}/frames/{index:03d}.jpg", frame)
            write_labels(tmp_path / f"{name}/masks/{index:03d}.png", LABELS)
    return tmp_path


@pytest.mark.parametrize("recipe", ["lwl-small", "lwl-small-0.1"])
def test_other_data_are_left_out_and_a_hold_out_is_drawn_and_named(mine, recipe, caplog):
    caplog.set_level("INFO")
    config = replace(RECIPES[recipe].config.data, videos=(mine,))
    opened = TrainingSources.open(config, query_frames=1)
    (held_out,) = draw_hold_out(NAMES, count=1)
    assert f"held out of videos for validation: {held_out}" in caplog.text
    assert "training on videos alone; no folder is given for" in caplog.text
    assert [share.source.name for share in opened.held_out] == ["videos hold-out"]


def test_names_that_are_given_are_held_out(mine, caplog):
    caplog.set_level("INFO")
    config = replace(RECIPES["lwl-small"].config.data, videos=(mine,), held_out=("video-3",))
    assert len(TrainingSources.open(config, query_frames=1).held_out) == 1
    assert "held out of videos for validation, by name: video-3" in caplog.text
    with pytest.raises(ConfigError, match="do not exist: video-33"):
        TrainingSources.open(replace(config, held_out=("video-33",)), query_frames=1)


def test_folders_that_are_named_like_the_hold_out_of_the_recipe_are_said_to_be_held_out(
    mine, caplog
):
    caplog.set_level("INFO")
    (mine / "video-1").rename(mine / "hockey")
    data = replace(RECIPES["lwl-small"].config.data, videos=(mine,))
    TrainingSources.open(data, query_frames=1)
    assert "held out of videos for validation, by name: hockey" in caplog.text
    for name in NAMES:
        if name != "video-1":
            shutil.rmtree(mine / name)
    with pytest.raises(ConfigError, match=r"are held out for validation by name \(hockey\)"):
        TrainingSources.open(data, query_frames=1)
    TrainingSources.open(replace(data, held_out=()), query_frames=1)


def test_with_other_data_every_kind_needs_its_folder(mine, tmp_path):
    write_frame(tmp_path / "p/images/a.jpg", np.zeros((8, 8, 3), dtype=np.uint8))
    write_labels(tmp_path / "p/masks/a.png", np.eye(8, dtype=np.uint8))
    config = replace(RECIPES["lwl-small"].config.data, pictures=(tmp_path / "p",), videos=())
    with pytest.raises(ConfigError, match=r"draws from data\.videos, which is not set"):
        TrainingSources.open(config, query_frames=1)
