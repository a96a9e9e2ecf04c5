"""Rates, groups and clipping, against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from maskcast.core.errors import ConfigError
from maskcast.core.training import OptimiserConfig, ScheduleConfig
from maskcast.training.optimisation import (
    clip_gradients,
    freeze_the_rest,
    groups_of,
    make_optimiser,
    rate_factor,
    set_rates,
)
from training.toy_task import TOY, ToyTask


def factors(config: ScheduleConfig, steps: int, steps_per_epoch: int) -> list[float]:
    return [
        rate_factor(config, step, steps_per_epoch=steps_per_epoch, total_steps=steps)
        for step in range(steps)
    ]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (ScheduleConfig(), [1, 1, 1, 1, 1, 1]),
        (ScheduleConfig(kind="milestones", milestones=(1, 2)), [1, 1, 0.2, 0.2, 0.04, 0.04]),
        (ScheduleConfig(kind="exponential", factor=0.5), [1, 1, 0.5, 0.5, 0.25, 0.25]),
        (ScheduleConfig(warm_up=3), [0.25, 0.5, 0.75, 1, 1, 1]),
    ],
)
def test_the_factor_of_three_epochs_of_two_steps(config: ScheduleConfig, expected: list[float]):
    assert factors(config, 6, 2) == pytest.approx(expected)


def test_a_cosine_is_half_way_down_in_the_middle():
    found = factors(ScheduleConfig(kind="cosine", final=0.1), 6, 2)
    assert found[0] == 1
    assert found[3] == pytest.approx(0.55)  # half way from 1 to 0.1
    assert found[5] == pytest.approx(0.1 + 0.9 * (1 - math.sqrt(3) / 2) / 2)  # cos 150° = −√3/2


def test_a_group_has_its_own_rate_or_the_common_one():
    first, second = (nn.Parameter(torch.ones(1)) for _ in range(2))

    class TwoGroups(ToyTask):
        def parameter_groups(self):
            decayed = {"params": [second], "weight_decay": 0.25}
            return [{"params": iter([first]), "lr": 0.5}, decayed, {"params": []}]

    config = OptimiserConfig(kind="sgd", rate=0.1, rate_scale=2.0)
    optimiser = make_optimiser(groups_of(TwoGroups(TOY.config), config), config)
    set_rates(optimiser, 0.5)
    assert [group["lr"] for group in optimiser.param_groups] == [0.5, 0.1]
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.0, 0.25]
    first.grad = second.grad = torch.ones(1)
    optimiser.step()
    assert first.item() == 0.5  # 1 − 0.5 · 1
    assert second.item() == pytest.approx(1 - 0.1 * (1 + 0.25 * 1))


@pytest.mark.parametrize(
    ("kind", "decay", "expected"),
    [
        ("adam", 0.5, 1 - 0.1),  # decay is part of the gradient, whose size Adam divides out
        ("adamw", 0.5, 1 - 0.1 * 0.5 - 0.1),  # decay is apart from it
        ("radam", 0.5, 1 - 0.1 * 0.5 - 0.1 * 3),  # first steps of RAdam follow the plain gradient
    ],
)
def test_the_first_step_of_each_kind(kind, decay: float, expected: float):
    parameter = nn.Parameter(torch.ones(1, dtype=torch.float64))
    config = OptimiserConfig(kind=kind, rate=0.1, weight_decay=decay)
    optimiser = make_optimiser([{"params": [parameter], "lr": 0.1}], config)
    parameter.grad = torch.full((1,), 3.0, dtype=torch.float64)
    optimiser.step()
    assert parameter.item() == pytest.approx(expected, abs=1e-6)


def test_what_is_in_no_group_is_frozen():
    module = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    freeze_the_rest(module, [{"params": list(module[1].parameters())}])
    assert [p.requires_grad for p in module.parameters()] == [False, False, True, True]


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [([], "no parameters to train"), ([nn.Parameter(torch.ones(1))], "1 param")],
)
def test_groups_that_train_nothing_of_the_module_are_refused(parameters, sentence: str):
    with pytest.raises(ConfigError, match=sentence):
        freeze_the_rest(nn.Linear(1, 1), [{"params": parameters}])


def test_clipping_first_limits_values_and_then_the_norm():
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([3.0, 10.0, 0.0])
    norm = clip_gradients([parameter], norm=1.0, value=4.0)
    assert norm.item() == pytest.approx(5)  # of (3, 4, 0)
    torch.testing.assert_close(parameter.grad, torch.tensor([0.6, 0.8, 0.0]), rtol=1e-5, atol=1e-6)


def test_without_limits_gradients_stay_as_they_are():
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([30.0, 40.0])
    assert clip_gradients([parameter], norm=None, value=None).item() == pytest.approx(50)
    assert parameter.grad.tolist() == [30, 40]


@pytest.mark.parametrize(
    "change",
    [
        *({"rate": -1.0}, {"weight_decay": -1.0}, {"rate_scale": -0.1}),
        *({"rate": math.nan}, {"rate": math.inf}, {"momentum": -0.1}, {"eps": math.nan}),
        *({"betas": (0.9, 1.0)}, {"betas": (math.nan, 0.9)}),
    ],
)
def test_settings_that_an_optimiser_cannot_use_are_refused(change):
    with pytest.raises(ConfigError, match=r"must be (finite and at least 0|in \[0, 1\)), got"):
        OptimiserConfig(**change)


@pytest.mark.parametrize(
    "change", [{"factor": 0.0}, {"factor": math.inf}, {"final": 1.5}, {"warm_up": -1}]
)
def test_an_impossible_schedule_is_refused(change):
    with pytest.raises(
        ConfigError, match=r"must be (finite and greater than 0|in .0, 1.|at least 0), got"
    ):
        ScheduleConfig(**change)


@pytest.mark.parametrize("wrong", [float("inf"), float("nan")])
@pytest.mark.parametrize("limits", [{"norm": 1.0, "value": None}, {"norm": None, "value": 1.0}])
def test_no_limit_hides_a_gradient_that_is_not_finite(wrong, limits):
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([wrong, 0.5])
    assert not clip_gradients([parameter], **limits).isfinite()
