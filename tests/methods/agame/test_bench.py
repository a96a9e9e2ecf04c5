"""The benchmark runs and adds up; its figures are taken on a quiet machine."""

from __future__ import annotations

import pytest
import torch

from fixtures.pretended_cuda import CUDA, PretendedCuda
from fixtures.small_squares import small_square
from maskcast.methods.agame import bench
from maskcast.methods.agame.presets import tiny


@pytest.fixture(autouse=True)
def _small_workload(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AgameConfig", "small"):
        monkeypatch.setattr(bench, name, tiny)
    monkeypatch.setattr(bench, "FRAME_SIZE", (64, 96))
    monkeypatch.setattr(bench, "REPEATS", 2)


def test_every_case_has_its_total_in_yardsticks() -> None:
    cases = dict(bench.bench(torch.device("cpu"), 4.0))
    assert {"one_float32", "three_float32", "small_float32"} <= cases.keys()
    for case in cases.values():
        assert case["total_Y"] == pytest.approx(case["ms"] / 4)
        assert 0 < sum(case[stage] for stage in bench.STAGES) <= case["ms"]  # means of two frames
        assert all(case[stage] > 0 for stage in bench.STAGES)


def test_watching_leaves_the_network_as_it_was() -> None:
    segmenter = bench.build(tiny(), None)
    state = bench.started(segmenter, 1)
    _, before = segmenter.step(state, bench.frame_at(1))
    with bench.watched(segmenter) as seconds:
        _, watched = segmenter.step(state, bench.frame_at(1))
    assert set(seconds) == set(bench.STAGES)
    _, after = segmenter.step(state, bench.frame_at(1))
    assert watched.probs.equal(before.probs)
    assert after.probs.equal(before.probs)
    assert "forward" not in vars(segmenter.network.trunk)


def test_labels_of_the_same_precision_do_not_differ() -> None:
    assert bench.labels_differing(torch.device("cpu"), torch.float32, frames=2) == 0


def test_on_a_card_one_three_and_ten_objects_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "object_mask", small_square)
    monkeypatch.setattr(bench, "WARM_UP", 0)
    monkeypatch.setattr(bench, "REPEATS", 1)
    monkeypatch.setattr(bench, "labels_differing", lambda *_: 0.01)
    with PretendedCuda():
        cases = dict(bench.bench(CUDA, 4.0))
    for objects in ("one", "three", "ten"):
        for precision in ("float32", "bfloat16"):
            assert cases[f"{objects}_{precision}"]["frames_per_second"] > 0
