"""Outer steps: gradients of a batch, what is learned, and that the engine trains it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from maskcast.core.errors import ConfigError
from maskcast.core.randomness import seeded
from maskcast.core.training import Recipe, ValidatesInParts
from maskcast.methods.eosvos.inner_loop import learned_start_of
from maskcast.methods.eosvos.training.config import (
    InnerLoopConfig,
    MetaTrainingConfig,
    TaskConfig,
)
from maskcast.methods.eosvos.training.meta_training import MetaTraining

from .. import small
from .tiny_training import tiny_training


@pytest.fixture
def config(tmp_path):
    return tiny_training(tmp_path / "videos")


def gradients(task, batch):
    task.module.zero_grad()
    losses = task.loss(batch)
    losses["total"].backward()
    return losses, [p.grad.clone() for p in task.module.parameters()]


def of_start(task, found):
    """The gradients for θ⁰, which stands behind the rates in the module."""
    return found[len(task.learned.stored_rates) :]


def test_the_gradient_of_a_batch_is_the_mean_over_its_tasks(config):
    """So it does not matter how many processes share the batch and average."""
    task = MetaTraining(config)
    items = task.dataset(0)
    batch = [items[0], items[1]]
    losses, together = gradients(task, task.collate(batch))
    apart = [gradients(task, [item]) for item in batch]
    assert losses["total"].item() == pytest.approx(
        sum(found["total"].item() for found, _ in apart) / 2
    )
    for both, one, other in zip(together, apart[0][1], apart[1][1], strict=True):
        torch.testing.assert_close(both, (one + other) / 2, rtol=1e-4, atol=1e-7)


def test_a_task_without_a_finite_loss_counts_zero_and_the_divisor_stays(config):
    task = MetaTraining(config)
    items = task.dataset(0)
    _, alone = gradients(task, [items[0]])
    query = items[1].query
    spoilt = items[1]._replace(query=query._replace(frame=torch.full_like(query.frame, torch.nan)))
    losses, found = gradients(task, [items[0], spoilt])
    assert losses["skipped"] == 1
    for one, both in zip(alone, found, strict=True):
        torch.testing.assert_close(both, one / 2)


def test_a_task_with_empty_labels_teaches_that_nothing_is_there(config):
    task = MetaTraining(config)
    item = task.dataset(0)[0]
    memory, query = (
        one._replace(label=torch.zeros_like(one.label)) for one in (item.memory[0], item.query)
    )
    empty = item._replace(memory=(memory,), query=query)
    losses, found = gradients(task, [empty])
    assert losses["skipped"] == 0 and losses["total"] > 0
    by_name = dict(zip(task.learned.names, of_start(task, found), strict=True))
    assert by_name["roi_heads.box_predictor.cls_score.bias"].any()
    assert not by_name["roi_heads.box_predictor.bbox_pred.weight"].any()
    assert not by_name["roi_heads.mask_predictor.mask_fcn_logits.weight"].any()


def test_every_inner_step_learns_from_its_own_view(config):
    task = MetaTraining(replace(config, tasks=TaskConfig(transforms="step")))
    item = task.dataset(0)[0]
    assert len(item.memory) == config.inner.inner_steps == 2
    only_first = item._replace(memory=item.memory[:1])
    one, other = (gradients(task, [chosen]) for chosen in (item, only_first))
    assert one[0]["inner_first"] == other[0]["inner_first"]
    assert one[0]["inner_last"] != other[0]["inner_last"]
    assert any(not torch.equal(a, b) for a, b in zip(one[1], other[1], strict=True))


def test_lower_precision_is_refused_on_a_cpu(config):
    task = MetaTraining(config)
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(ConfigError, match="cannot be trained in lower precision on the CPU"),
    ):
        task.loss([task.dataset(0)[0]])


def test_groups_have_the_published_rates():
    task = MetaTraining(MetaTrainingConfig(method=small.method()))
    start, rates = task.parameter_groups()
    assert (start["lr"], start["weight_decay"], rates["lr"], rates["weight_decay"]) == (
        1e-5,
        1e-3,
        1e-5,
        0,
    )
    assert len(start["params"]) == len(rates["params"])


def test_frozen_rates_get_no_gradient_and_no_group(config):
    task = MetaTraining(replace(config, rate_rate=0.0))
    (group,) = task.parameter_groups()
    assert group["name"] == "start"


def test_the_start_of_the_trunk_can_stay_while_its_rates_are_learned(config):
    task = MetaTraining(replace(config, learn_trunk_start=False))
    start, rates = task.parameter_groups()
    trunk = sum(name.startswith("backbone.") for name in task.learned.names)
    assert 0 < trunk == len(task.learned.start) - len(start["params"])
    assert start["params"][0] is task.learned.start[trunk]
    assert len(rates["params"]) == len(task.learned.names)


def test_rates_never_become_negative(config):
    task = MetaTraining(config)
    task.learned.stored_rates[0].data.fill_(-1)
    task.after_step()
    assert (task.learned.stored_rates[0] == 0).all()


def test_stage_two_goes_on_from_both_and_the_parent_gives_its_start_only(config):
    task = MetaTraining(config)
    parent = learned_start_of(small.network(seed=8), level="single", initial_rate=0.5)
    own_rates = [r.clone() for r in task.learned.stored_rates]
    task.start_from(parent.state_dict())
    assert torch.equal(task.learned.start[0], parent.start[0])
    assert torch.equal(task.learned.stored_rates[0], own_rates[0])
    stage_one = learned_start_of(small.network(seed=9), initial_rate=0.2)
    task.start_from(stage_one.state_dict())
    assert torch.equal(task.learned.stored_rates[0], stage_one.stored_rates[0])


def test_the_outer_loss_falls(config):
    with seeded(0):
        task = MetaTraining(replace(config, start_rate=3e-3))
    items = task.dataset(0)
    batch = [items[0], items[1]]
    optimiser = torch.optim.RAdam(
        [{k: v for k, v in group.items() if k != "name"} for group in task.parameter_groups()],
        decoupled_weight_decay=True,
    )
    losses = []
    for _ in range(14):
        losses.append(gradients(task, batch)[0]["total"].item())
        optimiser.step()
        task.after_step()
    assert min(losses[-3:]) < 0.95 * losses[0]


def test_every_held_out_object_is_a_part_of_the_validation(config):
    task = MetaTraining(replace(config, data=replace(config.data, held_out=("one",))))
    assert isinstance(task, ValidatesInParts)
    parts = [task.validate_part(part) for part in range(task.validation_parts())]
    assert len(parts) == 2  # its two objects
    assert all(0 <= part["J"] <= 1 for part in parts)


def test_second_order_is_learned_too(config):
    first, second = (
        MetaTraining(replace(config, inner=InnerLoopConfig(inner_steps=2, second_order=second)))
        for second in (False, True)
    )
    second.start_from(first.learned.state_dict())
    items = first.dataset(0)
    _, plain = gradients(first, [items[0]])
    _, followed = gradients(second, [items[0]])
    assert any(not torch.allclose(a, b) for a, b in zip(plain, followed, strict=True))


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(config, tmp_path):
    """Each works on half of every batch; starts two further Python processes with torch."""
    from maskcast.training.loop import train  # noqa: PLC0415 - needs the train extra

    script = Path(__file__).with_name("tiny_training.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(script), str(tmp_path / "videos"), str(tmp_path / "2")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, timeout=600)
    train("test", Recipe("test", config, MetaTraining), tmp_path / "1", config=config, device="cpu")
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in "12"
    )
    for mine, theirs in zip(one, two, strict=True):
        for name in mine.keys() & {"total", "inner_last", "gradient_norm", "J"}:
            assert theirs[name] == pytest.approx(mine[name], rel=1e-4), name
    assert one[0]["total"] != one[1]["total"]


def test_the_engine_trains_resumes_and_exports(config, tmp_path):
    from maskcast.training.loop import train  # noqa: PLC0415 - needs the train extra

    recipe = Recipe("test", config, MetaTraining)
    before = MetaTraining(config).learned.state_dict()
    run = tmp_path / "run"
    stopped = train("test", recipe, run, config=config, device="cpu", max_minutes=1e-6)
    assert stopped.step == 1
    outcome = train("test", recipe, run, config=config, device="cpu")
    assert outcome.step == 2
    weights = list((tmp_path / "run").rglob("*.safetensors"))
    assert weights
    exported = load_file(weights[0])
    assert set(exported) == set(before)
    assert any(not torch.equal(value.float(), before[key]) for key, value in exported.items())
