"""``maskcast bench`` hands the yardstick to the methods and writes what they find."""

from __future__ import annotations

import json
import math
import sys

import pytest
import torch

from maskcast.cli import bench as module
from maskcast.methods.benches import BENCHES


@pytest.fixture
def quick(monkeypatch):
    """A method whose figures are known, and a yardstick of 50 ms."""
    asked = []

    def measure(device: torch.device, yardstick_ms: float) -> list[tuple[str, dict[str, float]]]:
        asked.append((device, yardstick_ms))
        times = {"ms": 100.0, "total_Y": 100.0 / yardstick_ms}
        return [("full_float32", {**times, "peak_mib": math.nan})]  # as on Windows

    monkeypatch.setitem(BENCHES, "lwl", measure)
    monkeypatch.setattr(module, "yardstick_ms", lambda device: 50.0)
    return asked


def test_figures_are_shown_and_written(quick, maskcast, tmp_path):
    outcome = maskcast("bench", "--method", "lwl", "--json", tmp_path / "b.json", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.error
    assert quick == [(torch.device("cpu"), 50.0)]
    figures = json.loads((tmp_path / "b.json").read_text())
    assert figures["Y_ms"] == 50.0
    assert figures["device"] == "cpu"
    assert figures["threads"] == torch.get_num_threads()
    assert figures["lwl"]["full_float32"]["total_Y"] == 2.0
    assert figures["lwl"]["full_float32"]["write"] > 0
    assert "peak_mib" not in figures["lwl"]["full_float32"]
    assert "full_float32" in outcome.output


def test_cases_are_written_as_soon_as_they_are_measured(quick, maskcast, monkeypatch, tmp_path):
    file, written = tmp_path / "b.json", []

    def measure(device: torch.device, yardstick_ms: float):
        yield "first", {"ms": 1.0}
        written.append(json.loads(file.read_text())["lwl"])
        yield "second", {"ms": 2.0}
        raise KeyboardInterrupt

    monkeypatch.setitem(BENCHES, "lwl", measure)
    outcome = maskcast("bench", "--method", "lwl", "--json", file, "--device", "cpu")
    assert outcome.exit_code != 0
    assert [list(cases) for cases in written] == [["first"]]
    assert list(json.loads(file.read_text())["lwl"]) == ["first", "second"]


def test_tables_have_at_most_100_columns_and_no_empty_cells(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "300")
    frame = {"plain ms": 41.123, "maskcast ms": 4.2, "times faster": 9.8}
    whole = {f"seconds, {count} processes": 1000.0 for count in range(6)}
    module._show("metrics", {"small": frame, "large": frame, "set": whole})
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    rows = [line for line in lines if line.startswith("│")]
    assert [row.split("│")[1].strip() for row in rows] == ["small", "large", "set"]
    assert all(cell.strip() for row in rows for cell in row.split("│")[1:-1])


def test_what_has_no_benchmark_is_told(maskcast):
    maskcast("bench", "--method", "lvl").assert_one_sentence(2, "unknown method 'lvl'")
    outcome = maskcast("bench", "--method", "colours")
    outcome.assert_one_sentence(2, "colours has no benchmark")
    maskcast("bench", "--threads", "0").assert_one_sentence(2, "--threads")
    maskcast("bench", "metrics", "--method", "lwl").assert_one_sentence(2, "takes no --method")


def test_figures_of_the_metrics(maskcast, monkeypatch, tmp_path):
    cases = {"memory": {"MB, 100 frames": 50.0, "unknown": math.nan}}
    monkeypatch.setattr("maskcast.bench.metrics.bench", lambda: cases)
    outcome = maskcast("bench", "metrics", "--json", tmp_path / "b.json", "--device", "cpu")
    assert outcome.exit_code == 0, outcome.error
    figures = json.loads((tmp_path / "b.json").read_text())
    assert figures["metrics"] == {"memory": {"MB, 100 frames": 50.0}}
    assert set(figures) == {"threads", "device", "metrics"}


def test_without_opencv_the_metrics_cannot_be_measured(maskcast, monkeypatch):
    monkeypatch.delitem(sys.modules, "maskcast.bench.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "cv2", None)
    maskcast("bench", "metrics").assert_one_sentence(2, "requires OpenCV; pip install")
