"""Run folders of version 0.1 resume, and states without a digest count nowhere else."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from contract.stand_in import ColourState
from maskcast.core.errors import RunConflictError, StateError
from maskcast.core.state import load_state, save_state, state_digest
from maskcast.runs.card import read_card
from maskcast.runs.upgrade import add_digest
from runs.small_run import (
    BOTH,
    CORRECTED,
    COUNT,
    LATE,
    masks_in,
    open_in,
    request,
    run_into,
    states_in,
)
from runs.version_0_1 import as_version_0_1_wrote_it


def interrupted(folder: Path, stop: int = 8) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_into(folder, stop=stop)


def test_an_interrupted_run_resumes(tmp_path):
    interrupted(tmp_path)
    as_version_0_1_wrote_it(tmp_path)
    steps: list[int] = []
    card = run_into(tmp_path, steps=steps)
    assert (card.format, card.resumed_from, steps) == (2, 8, [8, 9, 10, 11])
    run_into(tmp_path / "fresh")
    assert masks_in(tmp_path) == masks_in(tmp_path / "fresh")


def test_a_finished_run_is_finished_and_can_be_corrected_and_that_undone(tmp_path):
    run_into(tmp_path)
    before = masks_in(tmp_path)
    as_version_0_1_wrote_it(tmp_path)
    steps: list[int] = []
    assert run_into(tmp_path, steps=steps).status == "finished"
    assert steps == []
    run_into(tmp_path, CORRECTED, steps=steps)
    assert steps == [7, 8, 9, 10, 11]
    run_into(tmp_path, edited=True, steps=steps)
    assert len(steps) == 5
    assert masks_in(tmp_path) == before


def test_what_its_backward_pass_filled_in_can_be_taken_out(tmp_path):
    run_into(tmp_path, LATE, settings=BOTH)
    as_version_0_1_wrote_it(tmp_path)
    steps: list[int] = []
    assert run_into(tmp_path, LATE, settings=BOTH, steps=steps).status == "finished"
    assert steps == []
    run_into(tmp_path, {5: LATE[5]}, settings=BOTH, edited=True)
    run_into(tmp_path / "fresh", {5: LATE[5]}, settings=BOTH)
    assert masks_in(tmp_path) == masks_in(tmp_path / "fresh")


def test_a_run_that_is_rejected_stays_in_the_format_of_0_1(tmp_path):
    interrupted(tmp_path)
    as_version_0_1_wrote_it(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RunConflictError, match="was changed"):
        run_into(tmp_path, LATE | {0: LATE[5]})
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_an_upgrade_that_was_killed_begins_again(tmp_path, monkeypatch):
    interrupted(tmp_path)
    as_version_0_1_wrote_it(tmp_path)

    def killed(*_):
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("maskcast.runs.upgrade.add_digest", killed)
        run_into(tmp_path)
    card = read_card(tmp_path)
    assert card is not None and card.format == 1
    assert run_into(tmp_path).resumed_from == 8


def test_a_state_without_a_digest_counts_only_beside_a_card_of_0_1(tmp_path):
    interrupted(tmp_path)
    states = states_in(tmp_path)
    newest = tmp_path / ".states" / f"{states[-1]:08d}.safetensors"
    save_state(load_state(newest, ColourState), newest)
    assert run_into(tmp_path).resumed_from == states[-2] + 1


def test_a_damaged_state_is_passed_over(tmp_path):
    interrupted(tmp_path)
    as_version_0_1_wrote_it(tmp_path)
    newest = tmp_path / ".states" / f"{states_in(tmp_path)[-1]:08d}.safetensors"
    newest.write_bytes(newest.read_bytes()[:50])
    run_into(tmp_path)
    run_into(tmp_path / "fresh")
    assert masks_in(tmp_path) == masks_in(tmp_path / "fresh")


def test_a_digest_is_added_without_touching_the_content(tmp_path):
    path = tmp_path / "state.safetensors"
    state = ColourState(background=torch.arange(3.0))
    save_state(state, path)
    add_digest(path, "0" * 31 + "ü")
    assert state_digest(path) == "0" * 31 + "ü"
    assert load_state(path, ColourState).background.equal(state.background)
    again = tmp_path / "again.safetensors"
    save_state(state, again, digest="0" * 31 + "ü")
    assert path.stat().st_size - again.stat().st_size in range(-200, 200)


@pytest.mark.parametrize("content", [b"", b"\xff" * 50, b"\x02" + bytes(7) + b"[]", b"\x05" * 8])
def test_what_is_no_state_gets_no_digest(content, tmp_path):
    path = tmp_path / "state.safetensors"
    path.write_bytes(content)
    with pytest.raises(StateError, match="not a readable saved state"):
        add_digest(path, "0")
    assert path.read_bytes() == content


@pytest.mark.parametrize("version", [3, "2", None, True])
def test_a_card_of_another_format_is_refused(version, tmp_path):
    run_into(tmp_path)
    card = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**card, "format": version}))
    with pytest.raises(RunConflictError, match=r"not a run card of this version .*overwrite"):
        run_into(tmp_path)
    assert len(masks_in(tmp_path)) == COUNT


def test_a_rejected_run_is_not_upgraded_and_says_how_it_continues(tmp_path):
    run_into(tmp_path)
    as_version_0_1_wrote_it(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RunConflictError, match="different") as caught:
        open_in(tmp_path, request(options={"presence.rule": "confidence"}))
    assert caught.value.details == (
        "the option presence.rule was not given, now confidence",
        f"the run was started by version {version('maskcast')}; to continue it, give the path of "
        "the weights file that it used",
    )
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    with pytest.raises(RunConflictError) as caught:
        run_into(tmp_path, {})
    assert len(caught.value.details) == 2  # the two prompts are gone, and nothing else differs
