"""What ``import maskcast`` offers: every name is there, documented, and known to type checkers."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import maskcast
from fixtures.video_files import VideoRecipe, write_numbered_video
from maskcast.core.errors import ConfigError, MissingFileError


@pytest.mark.parametrize("name", maskcast.__all__)
def test_names_are_there_and_documented(name):
    value = getattr(maskcast, name)
    assert name in dir(maskcast)
    if getattr(value, "__module__", "").startswith("maskcast"):  # shapes are no classes of ours
        assert inspect.getdoc(value)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("io.weights", "SHIPPED"),
        ("io.label_maps", "resize_label_map"),
        ("training.checkpoints", "CheckpointFolder"),
        ("cli.main", "main"),
        ("cli.weights", "list_weights"),
        ("cli.info", "info"),
    ],
)
def test_names_that_messages_and_scripts_use_stay_where_they_are(module, name):
    assert hasattr(importlib.import_module(f"maskcast.{module}"), name)


def test_the_table_of_the_documents_has_every_name():
    page = (Path(__file__).parent.parent / "docs" / "python.md").read_text()
    table = page[page.index("| name |") : page.index("## One video")]
    shown = re.findall(r"`(\w+)`", "".join(row.split(" | ")[0] for row in table.splitlines()))
    assert sorted(shown) == sorted(maskcast.__all__)


def test_the_public_names_of_other_modules_are_there():
    page = (Path(__file__).parent.parent / "docs" / "public.md").read_text()
    names = re.findall(r"`maskcast\.([\w.]+)\.(\w+)`", page)
    assert len(names) >= 5
    for module, name in names:
        assert inspect.getdoc(getattr(import_module(f"maskcast.{module}"), name)), name


def test_type_checkers_know_the_same_names_and_no_others():
    tree = ast.parse(Path(maskcast.__file__).read_text())
    imported = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("maskcast.")
        for alias in node.names
    }
    assert sorted(imported) == sorted(maskcast.__all__)
    for name, module in imported.items():  # both ways lead to the same object
        assert getattr(maskcast, name) is getattr(import_module(module), name)
    assert not hasattr(maskcast, "load_segmentor")


def test_paths_may_be_text(tmp_path):
    video, mask = str(tmp_path / "video.mp4"), str(tmp_path / "mask.png")
    write_numbered_video(Path(video), VideoRecipe(count=2))
    painted = np.zeros((48, 64), dtype=np.int32)
    painted[10:20, 10:20] = 3
    maskcast.write_label_map(mask, painted)
    assert np.array_equal(maskcast.read_label_map(mask), painted)
    frames = maskcast.open_frames(video)
    given = maskcast.read_prompts([mask], names=frames.names, size=frames.size)
    assert given.ids == [3]
    for missing in (
        lambda: maskcast.open_frames("none"),
        lambda: maskcast.read_label_map("none"),
        lambda: maskcast.load_state("none", tuple),
    ):
        with pytest.raises(MissingFileError, match="none"):
            missing()


def test_options_may_be_numbers():
    options = {"update_steps": 0, "crop.size": (64, 96), "batch_objects": False}
    segmenter = maskcast.load_segmenter(device="cpu", options=options)
    assert segmenter.config.learner.update_steps == 0
    assert segmenter.config.crop.size == (64, 96)
    with pytest.raises(ConfigError, match="update_steps"):
        maskcast.load_segmenter(device="cpu", options={"update_steps": 0.5})
