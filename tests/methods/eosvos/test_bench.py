"""The benchmark's workload and its bookkeeping; no times are judged."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fixtures.pretended_cuda import CUDA, PretendedCuda
from maskcast.methods.eosvos import bench
from maskcast.methods.eosvos.mask_rcnn import RegionHeads
from maskcast.methods.eosvos.presets import tiny

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _small_workload(monkeypatch):
    network = replace(tiny().network, sampled_regions=200, post_nms_train=300)
    monkeypatch.setattr(bench, "NETWORK", network)
    monkeypatch.setattr(bench, "FRAME_SIZE", (60, 106))
    monkeypatch.setattr(bench, "OBJECT", {"top": 20, "left": 36, "height": 24, "width": 28})


def test_every_case_is_told_in_units_of_the_yardstick(monkeypatch):
    times = iter([50.0, 1.0, 2.0, 3.0] * 3)
    monkeypatch.setattr(bench, "time_ms", lambda work, device: (work(), next(times))[1])

    monkeypatch.setattr(bench, "Yardstick", lambda device: lambda: 4.0)
    cases = dict(bench.bench(CPU, 1000.0))
    assert list(cases) == ["step_float32", "step_recompute_float32", "frame_float32"]
    for case in cases.values():
        assert (case["ms"], case["total_Y"]) == (2.0, 0.5)
        assert case["peak_mib"] > 0


def test_a_step_has_the_positive_regions_it_claims(monkeypatch):
    counts = []
    real = RegionHeads.losses

    def spy(self, *args, **named):
        counts.append(named["positives"])
        return real(self, *args, **named)

    monkeypatch.setattr(RegionHeads, "losses", spy)
    step = bench.step_work(CPU)
    step()
    step()
    assert counts == [bench.POSITIVES, bench.POSITIVES]  # though the weights have moved


def test_whole_runs_count_frames():
    found = bench.measure_video(CPU, tiny(), frames=3)
    assert found["frames_per_second"] == pytest.approx(1000 / found["ms"])


def test_on_a_card_whole_runs_are_measured_too(monkeypatch):
    asked = []

    def in_miniature(**settings):
        asked.append(settings)
        return replace(tiny(), online_adaptation=settings.get("online_adaptation", False))

    monkeypatch.setattr(bench, "EOSVOSConfig", in_miniature)
    monkeypatch.setattr(bench, "Yardstick", lambda device: lambda: 4.0)
    monkeypatch.setattr(bench, "REPEATS", 1)
    monkeypatch.setattr(bench, "VIDEO_LENGTH", 2)
    with PretendedCuda():
        cases = dict(bench.bench(CUDA, 4.0))
    assert asked == [{"inner_steps": 10}, {"inner_steps": 50, "online_adaptation": True}]
    for name in ("e-OSVOS-10", "e-OSVOS-50-OnA"):
        assert cases[name]["frames_per_second"] == pytest.approx(1000 / cases[name]["ms"])
    assert cases["step_float32"]["peak_mib"] == 1  # of the card, not of the process
