"""Metrics, pictures and times."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from maskcast.core.errors import OutputError
from maskcast.training.logs import LossWindow, RunLogs, forget_after
from maskcast.training.timing import PHASES, PhaseTimer, time_table


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_window_holds_means_over_its_steps():
    window = LossWindow()
    assert window.means() == {}
    window.add({"total": 1.0, "J": 0.5})
    window.add({"total": 4.0, "J": 0.0})
    assert LossWindow(**vars(window)).means() == {"total": 2.5, "J": 0.25}


def test_lines_after_the_checkpoint_and_half_lines_are_forgotten(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    whole = [json.dumps({"kind": "train", "step": step}) for step in (1, 2, 3)]
    path.write_text("\n".join(whole) + '\n{"kind": "tra')
    forget_after(path, 2)
    assert path.read_text() == "\n".join(whole[:2]) + "\n"
    path.write_text("\n".join(whole))  # the last line is whole but for its end
    forget_after(path, 3)
    assert path.read_text() == "\n".join(whole) + "\n"
    forget_after(tmp_path / "nowhere", 2)


def test_only_the_first_process_writes(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name, active in (("a", True), ("b", False)):
        with RunLogs(tmp_path / name, first_step=0, total_steps=2, active=active) as logs:
            logs.write("train", 1, {"total": 0.5, "epoch": 0, "norm": math.inf})
            logs.show(1, {"x": torch.zeros(3, 2, 2, dtype=torch.uint8)})
    assert lines(tmp_path / "a") == [
        {"kind": "train", "step": 1, "total": 0.5, "epoch": 0, "norm": None}
    ]
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.parametrize("terminal", [False, True])
def test_steps_are_told_in_lines_where_no_bar_shows_them(
    terminal: bool, tmp_path: Path, caplog, monkeypatch
):
    monkeypatch.setattr("maskcast.training.logs.Console.is_terminal", terminal)
    with (
        caplog.at_level("INFO"),
        RunLogs(tmp_path, first_step=0, total_steps=2, active=True) as logs,
    ):
        logs.write("train", 1, {"total": 0.5})
        logs.write("validation", 1, {"J": 0.25})
    assert ("step 1  train  total 0.5" in caplog.text) == (not terminal)
    assert "step 1  validation  J 0.25" in caplog.text


def test_a_picture_keeps_its_colours(tmp_path: Path):
    picture = torch.zeros(3, 2, 3, dtype=torch.uint8)
    picture[:, 1, 2] = torch.tensor([10, 20, 30], dtype=torch.uint8)
    with RunLogs(tmp_path, first_step=0, total_steps=9, active=True) as logs:
        logs.show(7, {"x": picture})
    with Image.open(tmp_path / "pictures" / "step-000000007" / "x.png") as found:
        assert found.size == (3, 2)
        assert found.getpixel((2, 1)) == (10, 20, 30)


def test_without_tensorboard_the_metrics_are_there(tmp_path: Path, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with RunLogs(tmp_path, first_step=0, total_steps=9, active=True) as logs:
        logs.write("train", 1, {"total": 1.0})
        logs.show(1, {"x": torch.zeros(3, 2, 2, dtype=torch.uint8)})
    assert lines(tmp_path)[0]["total"] == 1 and "tensorboard is not installed" in caplog.text


def test_without_room_for_tensorboard_the_run_goes_on(tmp_path: Path, caplog, monkeypatch):
    class Full:
        def add_scalar(self, *_):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("maskcast.training.logs._tensorboard", lambda *_: Full())
    with RunLogs(tmp_path, first_step=0, total_steps=9, active=True) as logs:
        logs.write("train", 1, {"total": 1.0, "J": 0.5})
    assert len(lines(tmp_path)) == 1
    assert caplog.text.count("cannot write to TensorBoard any more") == 1


def test_metrics_that_cannot_be_written_are_an_error_of_one_sentence(tmp_path: Path):
    with RunLogs(tmp_path, first_step=0, total_steps=9, active=True) as logs:
        (tmp_path / "metrics.jsonl").mkdir()
        with pytest.raises(OutputError, match=r"cannot write .*metrics\.jsonl"):
            logs.write("train", 1, {"total": 1.0})


def test_times_add_up(monkeypatch):
    now = iter([0.0, 1.0, 4.0, 5.0, 6.0, 10.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    watch = PhaseTimer(torch.device("cpu"), exact=False)  # began at 0
    with watch.phase("forward"):  # 1 to 4
        pass
    with watch.phase("waiting for data"):  # 5 to 6
        pass
    seconds = watch.seconds()  # until 10
    assert seconds == {
        **dict.fromkeys(PHASES, 0.0),
        "forward": 3,
        "waiting for data": 1,
        "other": 6,
    }
    table = time_table(seconds, 2)
    assert "2 steps, 5.000 s each" in table
    assert "forward                 30.0 %     1500.0 ms" in table
