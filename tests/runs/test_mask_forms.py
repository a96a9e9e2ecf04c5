"""A run that keeps run lengths is the same run: resumed, killed, edited and exported alike."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskcast.cli.main import main
from maskcast.core.errors import DataError, RunConflictError
from maskcast.io.label_maps import read_label_map
from maskcast.io.packed_masks import open_packed_masks
from maskcast.io.video.source import open_frames
from maskcast.runs.card import read_card
from maskcast.runs.exports import Exports, export
from maskcast.runs.folder import RunFolder
from maskcast.runs.frame_log import FrameLog
from runs.small_run import BOTH, CORRECTED, COUNT, LATE, VIDEO, masks_in, open_in, run_into
from runs.small_run import request as asked

EVERYTHING = Exports(
    overlay=True, cutout=("png", "prores", "vp9"), rle=True, tracks=True, contact_sheet=True
)
ENCODED_DIFFERENTLY = (".mp4", ".webm")
"""Endings of videos that are not the same twice to the bit."""


def packed_in(folder: Path) -> bytes:
    """The finished file of all masks."""
    assert not list(folder.glob("*.png"))
    assert not (folder / "masks.jsonl").exists()
    return (folder / "masks.jsonl.gz").read_bytes()


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    run_into(folder)
    return folder


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    run_into(folder, masks="rle")
    return folder


def test_the_masks_and_what_is_known_about_them_are_the_same(plain, packed):
    with closing(open_packed_masks(packed / "masks.jsonl.gz")) as masks:
        assert list(masks.names) == [name.removesuffix(".png") for name in masks_in(plain)]
        for name in masks.names:
            np.testing.assert_array_equal(masks.read(name), read_label_map(plain / f"{name}.png"))
    one, other = (FrameLog(folder / "frames.jsonl").by_frame() for folder in (plain, packed))
    assert len(one) == COUNT
    for frame_index, entry in one.items():
        expected = asdict(entry) | {"mask": "masks.jsonl"}
        assert asdict(other[frame_index]) == expected


def test_the_card_says_how_masks_are_kept_unless_as_pngs(plain, packed):
    assert "masks" not in json.loads((plain / "run.json").read_text())
    assert json.loads((packed / "run.json").read_text())["masks"] == "rle"
    assert [read_card(folder).masks for folder in (plain, packed)] == ["png", "rle"]


def test_an_unknown_form_is_a_damaged_card(packed, tmp_path):
    content = (packed / "run.json").read_text()
    (tmp_path / "run.json").write_text(content.replace('"rle"', '"jpeg"'))
    with pytest.raises(DataError, match="not a run card"):
        read_card(tmp_path)


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_an_interrupted_run_goes_on_and_ends_alike(stop, tmp_path, packed):
    with pytest.raises(KeyboardInterrupt):
        run_into(tmp_path, masks="rle", stop=stop)
    assert (tmp_path / "masks.jsonl").is_file()
    steps: list[int] = []
    run_into(tmp_path, steps=steps)  # the folder says how masks are kept
    assert steps == list(range(stop, COUNT))
    assert packed_in(tmp_path) == packed_in(packed)


@pytest.mark.parametrize("cut", [1, 30, 400])
def test_lines_that_a_power_cut_has_taken_are_computed_again(cut, tmp_path, packed):
    with pytest.raises(KeyboardInterrupt):
        run_into(tmp_path, masks="rle", stop=9)
    path = tmp_path / "masks.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    run_into(tmp_path)
    assert packed_in(tmp_path) == packed_in(packed)


def test_a_finished_run_whose_file_is_gone_is_computed_again(tmp_path, packed):
    run_into(tmp_path, masks="rle")
    (tmp_path / "masks.jsonl.gz").unlink()
    steps: list[int] = []
    run_into(tmp_path, steps=steps)
    assert steps == list(range(COUNT))
    assert packed_in(tmp_path) == packed_in(packed)


def test_a_run_killed_between_its_last_frame_and_its_end_is_only_packed(tmp_path, packed):
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit):

        def killed(*_: Any) -> None:
            raise SystemExit

        patch.setattr("maskcast.runs.masks.pack_rle", killed)
        run_into(tmp_path, masks="rle")
    assert (tmp_path / "masks.jsonl").is_file()
    steps: list[int] = []
    run_into(tmp_path, steps=steps)
    assert steps == []
    assert packed_in(tmp_path) == packed_in(packed)


@pytest.mark.parametrize("prompts", [CORRECTED, LATE])
def test_edits_of_a_finished_run_end_like_a_new_run(prompts, tmp_path):
    first, edited, fresh = (tmp_path / name for name in ("first", "edited", "fresh"))
    settings = BOTH if prompts is LATE else {}
    run_into(first, {}, masks="rle", settings=settings)
    run_into(fresh, prompts, masks="rle", settings=settings)
    run_into(edited, {}, masks="rle", settings=settings)
    run_into(edited, prompts, settings=settings, edited=True)
    assert packed_in(edited) == packed_in(fresh)
    run_into(edited, {}, settings=settings, edited=True)  # undone
    assert packed_in(edited) == packed_in(first)


def test_a_run_keeps_its_masks_in_one_form(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_into(tmp_path, masks="rle", stop=3)
    with pytest.raises(RunConflictError, match="masks were stored as rle, now png"):
        run_into(tmp_path, masks="png")
    run_into(tmp_path, masks="png", overwrite=True)
    assert len(masks_in(tmp_path)) == COUNT
    assert not list(tmp_path.glob("masks.*"))
    run_into(tmp_path, masks="rle", overwrite=True)
    assert packed_in(tmp_path)


def test_a_run_that_failed_before_its_first_mask_may_change_its_form(tmp_path):
    open_in(tmp_path, asked(), masks="png")
    run_into(tmp_path, masks="rle")
    assert packed_in(tmp_path)


@pytest.fixture
def video(tmp_path) -> Path:
    (tmp_path / "video").mkdir()
    for frame_index, frame in enumerate(VIDEO):
        pixels = (frame.permute(1, 2, 0) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(tmp_path / "video" / f"{frame_index:05d}.png")
    return tmp_path / "video"


def opened(folder: Path) -> RunFolder:
    return open_in(folder, asked())


def test_exports_are_the_same_byte_for_byte(plain, packed, video):
    found = []
    for folder in (plain, packed):
        made = export(opened(folder), open_frames(video), EVERYTHING)
        assert len(made) == 7
        files = [path for path in (folder / "exports").rglob("*") if path.is_file()]
        found.append(
            {
                str(path.relative_to(folder)): (
                    b"" if path.suffix in ENCODED_DIFFERENTLY else path.read_bytes()
                )
                for path in files
            }
        )
    assert len(found[0]) == 7 + COUNT
    assert found[0] == found[1]
    overlays = [open_frames(folder / "exports" / "overlay.mp4") for folder in (plain, packed)]
    for one, other in zip(*(overlay.pictures(0) for overlay in overlays), strict=True):
        assert np.abs(one.astype(int) - other).mean() < 2


def test_exports_read_masks_that_are_not_packed_yet(plain, tmp_path, video):
    with pytest.raises(KeyboardInterrupt):
        run_into(tmp_path / "run", masks="rle", stop=COUNT - 1)
    (path,) = export(
        opened(tmp_path / "run"), open_frames(video, end=str(COUNT - 1)), Exports(tracks=True)
    )
    (expected,) = export(
        opened(plain), open_frames(video, end=str(COUNT - 1)), Exports(tracks=True)
    )
    assert path.read_bytes() == expected.read_bytes()


def test_info_shows_the_form(packed, capsys):
    assert main(["info", str(packed)]) == 0
    assert "masks           rle\n" in capsys.readouterr().out


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import runs.small_run
from runs.small_run import VIDEO, run_into
class Slow(list):
    def __getitem__(self, index):
        time.sleep(0.03)
        print(index, flush=True)
        return super().__getitem__(index)
runs.small_run.VIDEO = Slow(VIDEO)
run_into(Path(sys.argv[2]), masks="rle")
"""


def test_a_killed_process_goes_on_and_ends_alike(tmp_path, packed):
    tests = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for frame_index in (4, 9):
        command = [sys.executable, "-c", KILLED, str(tests), str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            while int(process.stdout.readline()) < frame_index:
                pass
            time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        assert read_card(tmp_path).status == "running"
    steps: list[int] = []
    run_into(tmp_path, steps=steps)
    assert steps and steps[0] > 0
    assert packed_in(tmp_path) == packed_in(packed)
