"""Every command of the README is run, or at least understood."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fixtures.video_files import VideoRecipe, write_pictures
from maskcast.cli.main import main
from maskcast.data.synthetic.clips import make_clip
from maskcast.io.label_maps import read_label_map, write_label_map

README = (Path(__file__).parent.parent / "README.md").read_text()


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    return [block for found, block in fenced if found == language]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the video and the masks that the README speaks of."""
    clip = make_clip(5, frames=14, size=(120, 208), objects=(1, 1))
    write_pictures(tmp_path / "video.mp4", list(clip.frames), VideoRecipe(size=(120, 208)))
    write_label_map(tmp_path / "mask.png", clip.label_maps[0].astype(np.int32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def correct(path: Path) -> None:
    """Do what the person does: save another mask under the name of the label map."""
    label_map = read_label_map(path)
    label_map[:4] = 0
    label_map[60:64, 100:104] = 1
    write_label_map(path, label_map)


def test_the_first_two_blocks_are_the_set_up() -> None:
    first, second = blocks("bash")
    assert first.count("\n") == second.count("\n") == 1
    assert "maskcast demo" in first
    assert "pytest" in second


def test_segment_commands_run_in_their_order(home: Path) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    others = [line for line in lines if not line.startswith("maskcast ")]
    assert all(line.startswith(".venv/bin/pip install ") for line in others)
    assert len(lines) - len(others) == 5
    for line in (line for line in lines if line not in others):
        _, *arguments = shlex.split(line)
        assert main(arguments) == 0, line
        if "corrections" in arguments:
            correct(home / "corrections/00012.png")
    assert len(list((home / "found").rglob("00013.png"))) == 1
    masks = [np.asarray(Image.open(path)) for path in sorted(home.glob("found/**/000*.png"))]
    assert len(masks) == 14
    assert all(set(np.unique(mask)) <= {0, 1} for mask in masks)


def test_the_python_example_runs(home: Path) -> None:
    (example,) = blocks("python")
    assert example.strip().count("\n") <= 11
    subprocess.run([sys.executable, "-c", example], check=True, cwd=home)
    assert len(list(home.glob("out-*.png"))) == 14


@pytest.mark.parametrize(
    "line",
    [
        line.split("   ")[0].strip()
        for block in blocks("")
        for line in block.splitlines()
        if line.startswith("maskcast ")
        and not line.startswith("maskcast app ")  # serves until it is stopped
    ],
)
def test_other_commands_are_understood(line: str, home: Path) -> None:
    """What needs data that are not here ends in one sentence about them, never in our fault."""
    _, *arguments = shlex.split(line)
    assert main(arguments) in {0, 2, 3}
