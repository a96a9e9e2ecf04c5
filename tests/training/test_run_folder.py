"""What a run folder says about its run."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from maskcast.core.config import config_from_dict
from maskcast.core.errors import ConfigError, MissingFileError, RunConflictError, UsageError
from maskcast.training import run_folder
from maskcast.training.processes import pick_device, start_processes
from training.toy_task import TOY, with_loop

CONFIG = TOY.config


def request(**changes):
    return run_folder.request_for("toy", with_loop(replace(TOY.config, **changes)), None)


def test_a_request_is_read_back_from_file_or_folder(tmp_path: Path):
    asked = request(width=6, broken=(1, 2))
    run_folder.write_request(tmp_path, asked)
    for path in (tmp_path, tmp_path / "config.json"):
        found = run_folder.read_request(path)
        assert found == asked
        assert config_from_dict(type(TOY.config), found.config) == replace(
            TOY.config, width=6, broken=(1, 2)
        )


def test_what_changes_no_result_may_change(tmp_path: Path):
    run_folder.write_request(tmp_path, request())
    free = with_loop(workers=7, keep_last=9, log_every=2, validate_every=3)
    run_folder.refuse_another_run(tmp_path, run_folder.request_for("toy", free, None), CONFIG)
    seeded = run_folder.request_for("toy", with_loop(seed=1), None)
    with pytest.raises(RunConflictError, match=r"loop\.seed was 0, now 1"):
        run_folder.refuse_another_run(tmp_path, seeded, CONFIG)
    run_folder.refuse_another_run(tmp_path, replace(request(), recipe="renamed"), CONFIG)
    with pytest.raises(RunConflictError, match="the recipe was toy, now tin"):
        run_folder.refuse_another_run(tmp_path, replace(request(width=5), recipe="tin"), CONFIG)


def test_a_setting_that_is_newer_than_the_run_had_its_default(tmp_path: Path):
    run_folder.write_request(tmp_path, request())
    path = tmp_path / "config.json"
    older = json.loads(path.read_text())
    del older["config"]["width"], older["config"]["loop"]["seed"]
    path.write_text(json.dumps(older))
    run_folder.refuse_another_run(tmp_path, request(), CONFIG)
    with pytest.raises(RunConflictError, match=r"with its settings\): width was 4, now 5"):
        run_folder.refuse_another_run(tmp_path, request(width=5), CONFIG)


def test_a_setting_that_is_gone_is_a_difference(tmp_path: Path):
    run_folder.write_request(tmp_path, request())
    path = tmp_path / "config.json"
    older = json.loads(path.read_text())
    older["config"]["depth"] = 3
    path.write_text(json.dumps(older))
    with pytest.raises(RunConflictError, match="depth was 3, now not given"):
        run_folder.refuse_another_run(tmp_path, request(), CONFIG)


@pytest.mark.parametrize("content", ["", "[1]", '{"recipe": "toy"}', '{"x": 1}'])
def test_a_file_that_is_no_request_is_refused(tmp_path: Path, content: str):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match="is not the config of a training run"):
        run_folder.read_request(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(MissingFileError, match=r"config file .* does not exist"):
        run_folder.read_request(tmp_path / "none.json")


def test_earlier_sessions_are_kept_and_changed_data_is_noticed(tmp_path: Path, caplog):
    def card(started: str, data: str):
        about = {"started": started, "commit": "c", "device": "cpu", "processes": 1, "step": 3}
        return {**about, "data_fingerprint": data}

    assert run_folder.earlier_sessions(tmp_path, card("mon", "a")) == []
    run_folder.write_card(tmp_path, {**card("mon", "a"), "earlier": []})
    first = run_folder.earlier_sessions(tmp_path, card("tue", "a"))
    assert [session["started"] for session in first] == ["mon"]
    assert not caplog.text
    run_folder.write_card(tmp_path, {**card("tue", "a"), "earlier": first})
    both = run_folder.earlier_sessions(tmp_path, card("wed", "b"))
    assert [session["started"] for session in both] == ["mon", "tue"]
    assert "the data has changed" in caplog.text


def test_without_the_extra_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning.fabric", None)
    with pytest.raises(UsageError, match=r'pip install "\.\[train\]"'):
        start_processes(TOY.config.loop, "cpu", None)


def test_a_device_must_be_there(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")
    with pytest.raises(UsageError, match="device 'cuda' is not available"):
        pick_device("cuda")


def test_a_kind_of_device_that_training_does_not_know_is_refused(monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    with pytest.raises(UsageError, match=r"requires device auto, cpu, cuda or cuda:N, got mps"):
        pick_device("mps")


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    with pytest.raises(UsageError, match="3 processes for 2 GPUs"):
        start_processes(TOY.config.loop, "auto", None)
