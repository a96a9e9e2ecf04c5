"""What is measured; no times are judged."""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from maskcast.evaluation import timing

CPU = torch.device("cpu")


def test_the_yardstick_is_the_trunk_without_pooling_and_classifier(monkeypatch):
    monkeypatch.setattr(timing, "TRUNK_SIZE", (64, 96))
    shapes = []
    real = torch.nn.Sequential.forward

    def spy(self, frame):
        found = real(self, frame)
        shapes.append(tuple(found.shape))
        return found

    monkeypatch.setattr(torch.nn.Sequential, "forward", spy)
    state = torch.get_rng_state()
    assert timing.Yardstick(CPU)() > 0
    assert shapes[-1] == (1, 2048, 2, 3)
    assert torch.get_rng_state().equal(state)


def test_the_median_leaves_the_warm_up_out():
    times = iter([1000.0, 900.0, 5.0, 80.0, 6.0])
    assert timing.median_ms(lambda: next(times), warm_up=2, repeats=3) == 6.0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_peak_memory_grows_with_what_is_held_and_begins_anew():
    timing.reset_peak(CPU)
    before = timing.peak_mib(CPU)
    with mmap.mmap(-1, 64 * 2**20) as held:  # fresh pages, not what an allocator kept from before
        held.write(bytes(len(held)))
        during = timing.peak_mib(CPU)
    assert during - before > 50
    timing.reset_peak(CPU)
    assert timing.peak_mib(CPU) < during - 50


@pytest.mark.parametrize(("system", "unit"), [("darwin", 1), ("freebsd14", 2**10)])
def test_peak_memory_where_there_is_no_proc(monkeypatch, system, unit):
    usage = SimpleNamespace(ru_maxrss=300 * 2**20 // unit)
    unix = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: usage)
    monkeypatch.setattr(timing, "Path", lambda name: Path("/nowhere") / name.lstrip("/"))
    monkeypatch.setattr(timing, "resource", unix)
    monkeypatch.setattr(timing.sys, "platform", system)
    assert timing.peak_mib(CPU) == 300


def test_peak_memory_is_unknown_on_windows(monkeypatch):
    monkeypatch.setattr(timing, "Path", lambda name: Path("/nowhere") / name.lstrip("/"))
    monkeypatch.setattr(timing, "resource", None)
    timing.reset_peak(CPU)
    assert math.isnan(timing.peak_mib(CPU))


def test_the_share_of_differing_labels_is_a_mean_over_frames():
    some = [torch.tensor([[0, 1, 2, 2]]), torch.tensor([[3, 3, 3, 3]])]
    others = [torch.tensor([[0, 1, 1, 2]]), torch.tensor([[3, 0, 3, 0]])]
    assert timing.share_differing(some, others) == pytest.approx((1 / 4 + 2 / 4) / 2)
