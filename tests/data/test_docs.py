"""The Python examples in the documents about data run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from fixtures.imitations import write_frame, write_labels
from maskcast.data.made_up import make_clip

DOCS = Path(__file__).parents[2] / "docs"


def blocks(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """What the examples call videos, pictures, my-pictures and my-backgrounds."""
    monkeypatch.chdir(tmp_path)
    clip = make_clip(2, frames=12, size=(96, 160), objects=(1, 1))
    for index, (frame, label_map) in enumerate(zip(clip.frames, clip.label_maps, strict=True)):
        write_frame(tmp_path / f"videos/one/frames/{index:03d}.jpg", frame)
        write_labels(tmp_path / f"videos/one/masks/{index:03d}.png", label_map)
    for folder in ("pictures", "my-pictures"):
        write_frame(tmp_path / folder / "images/a.jpg", clip.frames[0])
        write_labels(tmp_path / folder / "masks/a.png", clip.label_maps[0])
    write_frame(tmp_path / "my-backgrounds/b.jpg", clip.frames[5])


@pytest.mark.parametrize("number", [0, 1])
def test_examples_of_made_up_clips(folders, number):
    names: dict[str, object] = {}
    exec(blocks("made-up-clips.md")[number], names)
    clip = names["clip"]
    assert clip.frames.dtype == np.uint8 and clip.frames.shape[1:] == (240, 416, 3)
    assert set(np.unique(clip.label_maps[0])) == {0, *clip.ids}


@pytest.mark.slow
def test_the_picture_is_drawn(folders, tmp_path):
    exec(blocks("made-up-clips.md")[2], {})
    assert (tmp_path / "docs/images/made-up-clips.jpg").stat().st_size > 50_000


def test_the_example_of_a_mixture(folders):
    names: dict[str, object] = {}
    exec(blocks("data.md")[1], names)
    sample = names["data"][0]
    assert sample.images.shape == (4, 3, 240, 416)
    assert sample.masks.shape == (4, 240, 416) and sample.boxes.shape == (4, 4)
