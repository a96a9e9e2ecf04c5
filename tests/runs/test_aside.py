"""What an edit outdates is kept within its limit, and comes back whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contract.coloured_video import true_mask
from maskcast.runs import aside
from maskcast.runs.aside import Aside
from maskcast.runs.segmentation import SavePolicy
from runs.small_run import (
    CORRECTED,
    COUNT,
    FIRST,
    aside_in,
    masks_in,
    open_in,
    request,
    run_into,
    states_in,
)

EVERY_4 = SavePolicy(frames=4, seconds=1e9, keep_every=4)


def no_links(source: Path, target: Path) -> None:
    raise OSError(1, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
def test_results_come_back_from_links_and_from_copies(links, tmp_path, monkeypatch):
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    run_into(tmp_path)
    before = masks_in(tmp_path)
    run_into(tmp_path, CORRECTED)
    steps: list[int] = []
    run_into(tmp_path, edited=True, steps=steps)
    assert steps == []
    assert masks_in(tmp_path) == before
    left = aside_in(tmp_path)  # what belongs to the correction
    assert len([name for name in left if name.endswith(".png")]) == 4
    assert not list(tmp_path.rglob(".*.part*"))


def test_an_edit_needs_no_second_copy_on_the_disk(tmp_path):
    run_into(tmp_path)
    number = (tmp_path / "00009.png").stat().st_ino
    run_into(tmp_path, CORRECTED)
    (kept,) = (tmp_path / ".states" / "aside").glob("*/aside-00000009.png")
    assert kept.stat().st_ino == number
    assert kept.stat().st_nlink == 1


def test_frames_of_several_earlier_requests_come_back_together(tmp_path):
    twice = {**FIRST, 4: {2: true_mask(2, 3)}, 8: {1: true_mask(1, 7)}}
    run_into(tmp_path)
    before = masks_in(tmp_path)
    run_into(tmp_path, CORRECTED)
    run_into(tmp_path, twice)
    steps: list[int] = []
    run_into(tmp_path, edited=True, steps=steps)
    assert steps == []
    assert masks_in(tmp_path) == before
    run_into(tmp_path, twice, edited=True, steps=steps)
    assert steps == []


def test_what_comes_back_of_an_unfinished_run_is_gone_on_with(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_into(tmp_path, stop=10)
    run_into(tmp_path, CORRECTED)
    steps: list[int] = []
    card = run_into(tmp_path, edited=True, steps=steps)
    assert (steps, card.resumed_from, card.status) == ([10, 11], 10, "finished")
    run_into(tmp_path / "fresh")
    assert masks_in(tmp_path) == masks_in(tmp_path / "fresh")


def test_above_the_limit_states_go_first_and_masks_last(tmp_path, monkeypatch):
    run_into(tmp_path, policy=EVERY_4)
    assert states_in(tmp_path) == [0, 4, 8]
    run_into(tmp_path, CORRECTED, policy=EVERY_4)
    run = open_in(tmp_path, request(CORRECTED))
    shelves = Aside(run)
    files = list((tmp_path / ".states" / "aside").glob("*/*"))
    assert shelves.size() == sum(path.stat().st_size for path in files)
    state = sum(path.stat().st_size for path in files if path.suffix == ".safetensors")
    assert aside_in(tmp_path)[0] == "00000008.safetensors"
    Aside(run, limit=shelves.size()).trim()
    assert len(aside_in(tmp_path)) == 5
    Aside(run, limit=shelves.size() - 1).trim()
    assert aside_in(tmp_path) == [f"aside-{i:08d}.png" for i in range(8, COUNT)]
    assert shelves.size() == sum(path.stat().st_size for path in files if path.exists())
    assert state > 0
    monkeypatch.setattr(aside, "ASIDE_LIMIT", 10)
    run_into(tmp_path, edited=True, policy=EVERY_4)
    assert aside_in(tmp_path) == []


def test_the_oldest_results_leave_first(tmp_path):
    run_into(tmp_path)
    run_into(tmp_path, CORRECTED)
    (oldest,) = (tmp_path / ".states" / "aside").iterdir()
    os.utime(oldest / "frames.jsonl", (1, 1))
    other = {**FIRST, 8: {1: true_mask(1, 6)}}
    run_into(tmp_path, other, edited=True)
    run = open_in(tmp_path, request(other))
    for path in (tmp_path / ".states" / "aside").glob("*/*.safetensors"):
        path.unlink()
    Aside(run, limit=Aside(run).size() - 1).trim()
    assert not oldest.exists()
    assert aside_in(tmp_path)


def test_a_mask_that_is_gone_from_there_is_computed_again(tmp_path):
    run_into(tmp_path)
    before = masks_in(tmp_path)
    run_into(tmp_path, CORRECTED)
    (lost,) = (tmp_path / ".states" / "aside").glob("*/aside-00000010.png")
    lost.unlink()
    steps: list[int] = []
    run_into(tmp_path, edited=True, steps=steps)
    assert steps == [10, 11]  # the state after frame 9 came back too
    assert masks_in(tmp_path) == before


def test_no_mask_set_aside_is_named_like_a_frame(tmp_path):
    run_into(tmp_path)
    run_into(tmp_path, CORRECTED)
    names = [path.name for path in tmp_path.rglob("*.png")]
    assert len(names) > COUNT
    assert len([name for name in names if name[:-4].isdecimal()]) == COUNT
