"""GPUs are counted by another process, and not at all for one device."""

from __future__ import annotations

import sys

import pytest

from maskcast.core import gpus
from maskcast.core.gpus import gpu_count


@pytest.mark.parametrize(("device", "count"), [("cpu", 0), ("cuda:1", 1), ("mps", 1)])
def test_one_device_is_not_counted(device, count, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert gpu_count(device) == count


def test_another_process_counts(monkeypatch):
    monkeypatch.setattr(gpus, "COUNT", "print(4)")
    assert (gpu_count("auto"), gpu_count("cuda")) == (4, 4)


@pytest.mark.parametrize("program", ["raise SystemExit(1)", "print('many')"])
def test_without_an_answer_there_are_none(program, monkeypatch):
    monkeypatch.setattr(gpus, "COUNT", program)
    assert gpu_count() == 0
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert gpu_count() == 0
