"""What is measured; no times are judged."""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from maskcast.bench import memory, stopwatch, yardstick
from maskcast.bench.precision import share_differing
from maskcast.bench.synthetic import rectangle, synthetic_frame

CPU = torch.device("cpu")


def test_the_yardstick_is_the_trunk_without_pooling_and_classifier(monkeypatch):
    monkeypatch.setattr(yardstick, "TRUNK_SIZE", (64, 96))
    shapes = []
    real = torch.nn.Sequential.forward

    def spy(self, frame):
        found = real(self, frame)
        shapes.append(tuple(found.shape))
        return found

    monkeypatch.setattr(torch.nn.Sequential, "forward", spy)
    state = torch.get_rng_state()
    assert yardstick.Yardstick(CPU)() > 0
    assert shapes[-1] == (1, 2048, 2, 3)
    assert torch.get_rng_state().equal(state)


def test_the_median_leaves_the_warm_up_out():
    times = iter([1000.0, 900.0, 5.0, 80.0, 6.0])
    assert stopwatch.median_ms(lambda: next(times), warm_up=2, repeats=3) == 6.0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
def test_peak_memory_grows_with_what_is_held_and_begins_anew():
    memory.reset_peak(CPU)
    before = memory.peak_mib(CPU)
    with mmap.mmap(-1, 64 * 2**20) as held:  # fresh pages, not what an allocator kept from before
        held.write(bytes(len(held)))
        during = memory.peak_mib(CPU)
    assert during - before > 50
    memory.reset_peak(CPU)
    assert memory.peak_mib(CPU) < during - 50


@pytest.mark.parametrize(("system", "unit"), [("darwin", 1), ("freebsd14", 2**10)])
def test_peak_memory_where_there_is_no_proc(monkeypatch, system, unit):
    usage = SimpleNamespace(ru_maxrss=300 * 2**20 // unit)
    unix = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: usage)
    monkeypatch.setattr(memory, "Path", lambda name: Path("/nowhere") / name.lstrip("/"))
    monkeypatch.setattr(memory, "resource", unix)
    monkeypatch.setattr(memory.sys, "platform", system)
    assert memory.peak_mib(CPU) == 300


def test_peak_memory_is_unknown_on_windows(monkeypatch):
    monkeypatch.setattr(memory, "Path", lambda name: Path("/nowhere") / name.lstrip("/"))
    monkeypatch.setattr(memory, "resource", None)
    memory.reset_peak(CPU)
    assert math.isnan(memory.peak_mib(CPU))


def test_the_share_of_differing_labels_is_a_mean_over_frames():
    some = [torch.tensor([[0, 1, 2, 2]]), torch.tensor([[3, 3, 3, 3]])]
    others = [torch.tensor([[0, 1, 1, 2]]), torch.tensor([[3, 0, 3, 0]])]
    assert share_differing(some, others) == pytest.approx((1 / 4 + 2 / 4) / 2)


def test_a_stopwatch_adds_up_stages_and_can_be_paused(monkeypatch):
    clock = iter([0.0, 1.0, 10.0, 12.0, 20.0, 20.5])
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: next(clock))
    watch = stopwatch.Stopwatch(CPU)
    for stage in ("trunk", "head", "trunk"):
        with watch(stage):
            pass
    watch.paused = True
    with watch("head"):
        pass
    assert watch.seconds == {"trunk": 1.5, "head": 2.0}


def test_synthetic_frames_are_the_same_noise_with_brighter_objects():
    near = rectangle((32, 48), top=4, left=40, height=10, width=20)
    assert near.sum() == 10 * 8  # the rest is outside
    dark, bright = (synthetic_frame([(near, amount)]) for amount in (0.0, 0.25))
    assert torch.equal(dark[:, ~near], bright[:, ~near])
    torch.testing.assert_close(bright[:, near], (dark[:, near] + 0.25).clamp(max=1))
    assert 0 <= float(dark.min()) < float(dark.max()) <= 1
