"""The benchmark's workload and its bookkeeping; no times are judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from fixtures.pretended_cuda import CUDA, PretendedCuda
from fixtures.small_squares import small_square
from maskcast.methods.catalogue import choose_weights, configured
from maskcast.methods.lwl import bench
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.method import build
from maskcast.methods.lwl.presets import tiny

CPU = torch.device("cpu")


def test_the_memory_is_filled_with_as_many_frames_as_asked_for() -> None:
    config = replace(tiny(), memory=replace(tiny().memory, size=6))
    state = bench.started(build(config, None), 2)
    filled = bench.with_memory_of(state, 5, config.memory)
    assert [len(target.memory.slots) for target in filled.targets] == [5, 5]
    assert len({id(slot) for slot in filled.targets[0].memory.slots}) == 5


def test_columns_add_up_to_less_than_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "REPEATS", 2)
    found = bench.measure(tiny(), CPU, frames=3, objects=2)
    assert found["ms"] > sum(found[column] for column in bench.STAGES) > 0
    assert all(found[column] > 0 for column in bench.STAGES)
    assert found["peak_mib"] > 0
    assert found["frames_per_second"] == pytest.approx(1000 / (2 * found["ms"]))


def test_every_case_is_told_in_units_of_the_yardstick(monkeypatch: pytest.MonkeyPatch) -> None:
    case = {"ms": 30.0, "learner": 9.0, "peak_mib": 1.0}
    monkeypatch.setattr(bench, "measure", lambda *_, **__: dict(case))
    monkeypatch.setattr(bench, "measure_shipped", lambda *_, **__: {"ms": 5.0})
    monkeypatch.setattr(bench, "labels_differing", lambda *_: 0.01)
    found = dict(bench.bench(CPU, 10.0))
    for name in ("1", "3", "3_overlapping", "10", "10_overlapping"):
        assert found[f"shipped_{name}"] == {"ms": 5.0, "total_Y": 0.5}
    assert found["full_float32"] == case | {"total_Y": 3.0, "learner_Y": 0.9}
    assert {"empty_float32", "small_float32"} <= found.keys()


def test_on_a_card_one_and_three_objects_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = bench.measure
    compiled: list[LWLConfig] = []

    def measured(config: LWLConfig, device: torch.device, **how: Any) -> dict[str, float]:
        if how.get("objects") == 3:  # the others are no different, and take their time
            return measure(config, device, **how)
        return {"ms": 1.0, "learner": 0.5, "frames_per_second": 1000.0, "peak_mib": 1.0}

    def not_compiled(config: LWLConfig) -> LWLConfig:
        compiled.append(config)
        return config

    for name in ("ytvos", "small"):
        monkeypatch.setattr(bench, name, tiny)
    monkeypatch.setattr(bench, "measure", measured)
    monkeypatch.setattr(bench, "measure_shipped", lambda *_, **__: {"ms": 1.0})
    monkeypatch.setattr(bench, "compiled", not_compiled)
    monkeypatch.setattr(bench, "labels_differing", lambda *_: 0.01)
    monkeypatch.setattr(bench, "FRAME_SIZE", (64, 96))
    monkeypatch.setattr(bench, "object_mask", small_square)
    monkeypatch.setattr(bench, "WARM_UP", 0)
    monkeypatch.setattr(bench, "REPEATS", 1)
    with PretendedCuda():
        cases = dict(bench.bench(CUDA, 4.0))
    for objects in (1, 3):
        kinds = ("float32", "float32_graphs", "bfloat16", "bfloat16_graphs", "bfloat16_compiled")
        for kind in kinds:
            case = cases[f"{objects}_objects_{kind}"]
            assert case["frames_per_second"] == pytest.approx(1000 / (objects * case["ms"]))
            assert case["peak_mib"] == 1  # of the card, not of the process
    assert len(compiled) == 1
    assert cases["shipped_10_graphs"] == {"ms": 1.0, "total_Y": 0.25}


@pytest.mark.parametrize("overlapping", [False, True])
def test_ten_objects_fit_into_every_frame_of_the_shipped_cases(overlapping: bool) -> None:
    for index in (0, bench.SHIPPED_FRAMES + 1):
        masks = [bench.shipped_mask(i, index, overlapping=overlapping) for i in range(1, 11)]
        assert torch.stack(masks).sum(dim=0).amax() == 1
        assert {int(mask.sum()) for mask in masks} == {60 * 60}


def test_a_shipped_case_is_the_mean_of_successive_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SHIPPED_FRAMES", 2)
    monkeypatch.setattr(bench, "shipped", lambda device, graphs: build(tiny(), None))
    monkeypatch.setattr(bench, "time_ms", lambda call, device: call() or 80.0)
    found = bench.measure_shipped(CPU, 2, overlapping=True)
    assert (found["ms"], found["frames_per_second"]) == (40.0, 25.0)


def test_the_shipped_segmenter_has_the_settings_of_the_default_weights() -> None:
    weights = choose_weights(None, "lwl")
    assert bench.shipped(CPU).config == configured(weights)[1]


def test_the_compiled_case_compiles() -> None:
    assert bench.compiled(tiny()).speed.compile
    assert not tiny().speed.compile
