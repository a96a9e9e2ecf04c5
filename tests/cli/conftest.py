"""A tiny clip in a folder of its own, and ``maskcast`` called inside the test process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from contract import stand_in
from contract.coloured_video import SIZE, frames, true_mask
from maskcast.cli.main import main
from maskcast.io.label_maps import write_label_map
from maskcast.io.weights.files import write_weights
from maskcast.methods.catalogue import METHODS

FRAMES = 12


@dataclass(frozen=True)
class Outcome:
    """What a command line did."""

    exit_code: int
    output: str
    error: str

    def assert_one_sentence(self, exit_code: int, words: str) -> None:
        """A person's mistake: the code, the words, one line, no traceback."""
        assert words in self.error
        assert self.exit_code == exit_code, self.error
        assert "Traceback" not in self.error
        assert len(self.error.strip().splitlines()) == 1, self.error


def write_mask(path: Path, frame_index: int, ids: tuple[int, ...]) -> Path:
    """Write the true label map of a frame."""
    label_map = np.zeros(SIZE, dtype=np.int32)
    for object_id in ids:
        label_map[true_mask(object_id, frame_index).numpy()] = object_id
    write_label_map(path, label_map)
    return path


def make_clip(folder: Path) -> None:
    """Write ``video/``, ``first.png`` and ``colours.safetensors``."""
    (folder / "video").mkdir(parents=True)
    for frame_index, frame in enumerate(frames(FRAMES)):
        pixels = (frame.permute(1, 2, 0) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / "video" / f"{frame_index:05d}.png")
    write_mask(folder / "first.png", 0, (1, 2))
    write_weights(
        folder / "colours.safetensors",
        method="colours",
        config={},
        tensors={"colour_bias": torch.zeros(())},
        card={"licence": "none needed"},
    )


@pytest.fixture
def clip(tmp_path, monkeypatch) -> Path:
    """The folder of the clip; it is the working directory too."""
    make_clip(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MASKCAST_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def maskcast(monkeypatch, capfd) -> Callable[..., Outcome]:
    """Run one command line with the stand-in method in the catalogue."""
    monkeypatch.setitem(METHODS, "colours", stand_in.METHOD)

    def run(*arguments: str | Path) -> Outcome:
        capfd.readouterr()
        try:
            exit_code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # the parser's own way out
            exit_code = int(end.code or 0)
        captured = capfd.readouterr()
        return Outcome(exit_code, captured.out, captured.err)

    return run


@pytest.fixture
def segment(clip, maskcast) -> Callable[..., Outcome]:
    """``maskcast segment video …`` with the clip's weights, into ``out`` unless told otherwise."""

    def run(*arguments: str | Path, video: str = "video", masks: str = "first.png") -> Outcome:
        given = ["--masks", masks] if masks else []
        output = [] if "-o" in arguments else ["-o", "out"]
        weights = ["--weights", "./colours.safetensors"]
        if "--weights" in arguments or "--method" in arguments:
            weights = []
        return maskcast("segment", video, *given, *weights, *output, *arguments)

    return run
