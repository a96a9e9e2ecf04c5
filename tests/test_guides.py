"""The commands and Python examples of the guides run in their order, on a small clip."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fixtures.imitations import BENCHMARKS
from fixtures.video_files import VideoRecipe, write_pictures
from maskcast.cli.main import main
from maskcast.data.synthetic.clips import make_clip
from maskcast.io.label_maps import read_label_map, write_label_map
from maskcast.methods.lwl.few_shot_learner import Samples, descend, few_shot_loss

GUIDES = sorted((Path(__file__).parent.parent / "docs" / "guides").glob("*.md"))
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def clip(tmp_path, monkeypatch) -> Path:
    """A folder with the videos, masks and data sets of the guides; the working directory."""
    clip = make_clip(5, frames=8, size=(96, 160), objects=(1, 1))
    (tmp_path / "clips").mkdir()
    for video in ("video", "clips/cam1"):
        path = tmp_path / f"{video}.mp4"
        write_pictures(path, list(clip.frames), VideoRecipe(size=(96, 160)))
    for mask in ("mask", "clips/cam1"):
        write_label_map(tmp_path / f"{mask}.png", clip.label_maps[0].astype(np.int32))
    BENCHMARKS["davis2016"](tmp_path / "DAVIS")
    BENCHMARKS["folder"](tmp_path / "videos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paint(folder: Path) -> None:
    """Do what a person does: change the label map in a folder."""
    for path in folder.glob("[0-9]*[0-9].png"):
        label_map = read_label_map(path)
        label_map[:4] = 0
        label_map[40:44, 60:64] = 1
        write_label_map(path, label_map)


def run(line: str, folder: Path) -> None:
    """Run a command, and paint on what it wrote to be painted on."""
    program, *arguments = shlex.split(line)
    assert (program, main(arguments)) == ("maskcast", 0), line
    if arguments[0] == "frame":
        paint(folder / arguments[arguments.index("--output") + 1])


@pytest.mark.parametrize("guide", [pytest.param(path, id=path.stem) for path in GUIDES])
def test_commands_and_examples_run_in_their_order(guide, clip):
    text = guide.read_text()
    missing = set(re.findall(r"`(found/exports/[\w./-]+|report\.html|runs/[\w./-]+json)`", text))
    names: dict[str, object] = {"__name__": "guide"}
    lines = 0
    for language, block in BLOCK.findall(text):
        if language == "python":
            exec(block, names)
            continue
        for line in block.splitlines():
            lines += 1
            run(line, clip)
            missing -= {name for name in missing if (clip / name).exists()}
    assert lines >= 4
    assert not missing


def python_blocks(guide: str) -> list[str]:
    text = (GUIDES[0].parent / guide).read_text()
    return [block for language, block in BLOCK.findall(text) if language == "python"]


def test_the_example_of_a_stream_continues_where_it_was_left(clip, capsys):
    names: dict[str, object] = {"__name__": "guide"}
    for block in python_blocks("engineer.md"):
        exec(block, names)
    *_, frames, rejected, finished = capsys.readouterr().out.splitlines()
    assert frames == "[5, 6, 7]"
    assert [path.name for path in (clip / "states").iterdir()] == ["00000004.safetensors"]
    assert rejected.startswith("rejected: ") and "no-such-mask.png" in rejected
    assert finished == "finished"


def test_the_changed_method_has_twelve_lines_and_stops_early():
    loading, change, *_ = python_blocks("researcher.md")
    assert len([line for line in change.splitlines() if line]) == 12
    names: dict[str, Any] = {}
    exec(loading, names)
    exec(change, names)
    learner = names["segmenter"].network.learner
    generator = torch.Generator().manual_seed(0)
    x, e, v = (torch.rand(1, 3, 6, 8, size, generator=generator) for size in (5, 2, 2))
    samples, tau = Samples(x, e, v), torch.zeros(1, 2, 5, 3, 3)
    taus = [iterate.tau for iterate in descend(tau, samples, learner.kappa, 100)]
    losses = [few_shot_loss(tau, samples, learner.kappa).item() for tau in taus]
    last = next(i for i in range(1, 100) if losses[i] > 0.99 * losses[i - 1])
    assert 1 < last < 99
    assert torch.equal(learner(tau, samples, 100), taus[last])
