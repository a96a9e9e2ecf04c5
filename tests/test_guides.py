"""The commands of the guides run in their order, on a small clip."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from fixtures.video_files import VideoRecipe, write_pictures
from maskcast.cli.main import main
from maskcast.data.synthetic.clips import make_clip
from maskcast.io.label_maps import read_label_map, write_label_map

GUIDES = sorted((Path(__file__).parent.parent / "docs" / "guides").glob("*.md"))


@pytest.fixture
def clip(tmp_path, monkeypatch) -> Path:
    """A folder with the video and the first mask of the guides; the working directory."""
    clip = make_clip(5, frames=8, size=(96, 160), objects=(1, 1))
    write_pictures(tmp_path / "video.mp4", list(clip.frames), VideoRecipe(size=(96, 160)))
    write_label_map(tmp_path / "mask.png", clip.label_maps[0].astype(np.int32))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paint(folder: Path) -> None:
    """Do what a person does: change the label map in a folder."""
    for path in folder.glob("[0-9]*[0-9].png"):
        label_map = read_label_map(path)
        label_map[:4] = 0
        label_map[40:44, 60:64] = 1
        write_label_map(path, label_map)


@pytest.mark.parametrize("guide", [pytest.param(path, id=path.stem) for path in GUIDES])
def test_commands_run_in_their_order(guide, clip, capsys):
    blocks = re.findall(r"^```sh\n(.*?)^```$", guide.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) >= 4
    text = guide.read_text()
    missing = set(re.findall(r"`(found/exports/[\w./-]+)`", text))
    for line in lines:
        _, *arguments = shlex.split(line)
        assert main(arguments) == 0, (line, capsys.readouterr().err)
        if arguments[0] == "frame":
            paint(clip / arguments[arguments.index("--output") + 1])
        missing -= {name for name in missing if (clip / name).exists()}
    assert not missing
