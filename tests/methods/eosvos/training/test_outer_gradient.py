"""The closed form of the outer gradient against autograd and finite differences."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from maskcast.core.errors import ConfigError
from maskcast.core.randomness import generator_of
from maskcast.methods.eosvos.inner_loop import RATE_PREFIX, learned_start_of
from maskcast.methods.eosvos.training.config import InnerLoopConfig
from maskcast.methods.eosvos.training.outer_gradient import first_order, through_autograd

from .. import small


def task(level="neuron", *, log_rates=False, sampled=small.EVERYTHING):
    network = small.network(sampled_anchors=sampled, sampled_regions=sampled).double()
    learned = learned_start_of(
        network,
        level=level,
        log_rates=log_rates,
        initial_rate=0.01,
        generator=generator_of(1),
    ).double()
    return learned, network, [small.batch(network, 0)], small.batch(network, 2)


@pytest.mark.parametrize("level", ["neuron", "tensor", "param", "single"])
@pytest.mark.parametrize("log_rates", [False, True])
def test_closed_form_is_what_autograd_finds(level, log_rates):
    parts = task(level, log_rates=log_rates)
    config = InnerLoopConfig(inner_steps=2)
    assert_same(first_order(*parts, config, seed=4), through_autograd(*parts, config, seed=4))


def test_a_batch_for_each_inner_step():
    learned, network, (memory,), query = task()
    views = [memory, small.batch(network, 1)]
    config = InnerLoopConfig(inner_steps=2)
    found = first_order(learned, network, views, query, config, seed=4)
    assert_same(found, through_autograd(learned, network, views, query, config, seed=4))
    (first,) = first_order(
        learned, network, views[:1], query, InnerLoopConfig(inner_steps=1), seed=4
    ).inner_losses
    assert found.inner_losses[0] == first
    shared = first_order(learned, network, views[:1], query, config, seed=4)
    assert found.inner_losses[1] != shared.inner_losses[1]


@pytest.mark.parametrize(
    "config",
    [
        InnerLoopConfig(inner_steps=4, segment=2),
        InnerLoopConfig(inner_steps=3, step_weights=(0.2, 0.0, 0.8)),
        InnerLoopConfig(inner_steps=3, segment=2, step_weights=(0.5, 0.5, 1.0)),
    ],
)
def test_closed_form_holds_for_cut_trajectories_and_several_losses(config):
    parts = task(sampled=12)
    assert_same(first_order(*parts, config, seed=4), through_autograd(*parts, config, seed=4))


def test_rate_gradient_is_that_of_finite_differences():
    """With one inner step the inner gradient does not depend on λ, so first order is exact but for
    the proposals, which move with the weights and are not differentiated."""
    learned, network, memory, query = task("single")
    config = InnerLoopConfig(inner_steps=1)
    found = first_order(learned, network, memory, query, config, seed=0)

    def loss_at(rate):
        learned.stored_rates[0].data.fill_(rate)
        return first_order(learned, network, memory, query, config, seed=0).loss

    step = 1e-6
    expected = (loss_at(0.01 + step) - loss_at(0.01 - step)) / (2 * step)
    assert float(found.rates[0]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("level", ["neuron", "single"])
def test_second_order_is_exact_where_the_heads_alone_move(level):
    """Trunk and proposals stay. Then a finite difference along a random direction of θ⁰ and λ has
    the whole gradient, through three steps and both test losses."""
    network = small.network(train_trunk=False).double()
    network.rpn.requires_grad_(False)
    learned = learned_start_of(
        network, level=level, initial_rate=0.3, generator=generator_of(1)
    ).double()
    parts = learned, network, [small.batch(network, 0)], small.batch(network, 2)
    config = InnerLoopConfig(inner_steps=3, step_weights=(0.3, 0.0, 0.7), second_order=True)
    values = [p.data for p in (*learned.start, *learned.stored_rates)]
    generator = generator_of(2)
    direction = [torch.randn(v.shape, generator=generator, dtype=v.dtype) for v in values]

    def loss_at(shift):
        torch._foreach_add_(values, direction, alpha=shift)
        found = through_autograd(*parts, config, seed=0).loss
        torch._foreach_sub_(values, direction, alpha=shift)
        return found

    def slope(found):
        gradients = [*found.start, *found.rates]
        return float(sum((g * d).sum() for g, d in zip(gradients, direction, strict=True)))

    expected = (loss_at(1e-6) - loss_at(-1e-6)) / 2e-6
    assert slope(through_autograd(*parts, config, seed=0)) == pytest.approx(expected, rel=1e-5)
    first = first_order(*parts, replace(config, second_order=False), seed=0)
    assert slope(first) != pytest.approx(expected, rel=1e-2)


def test_second_order_has_no_closed_form():
    with pytest.raises(ConfigError, match="no closed form"):
        first_order(*task(), InnerLoopConfig(second_order=True), seed=0)


def test_published_keys_hold_the_rates():
    learned, *_ = task()
    assert all(key.startswith((RATE_PREFIX, "model_init_")) for key in learned.state_dict())


def assert_same(one, other):
    assert one.loss == pytest.approx(other.loss, rel=1e-12)
    assert one.inner_losses == pytest.approx(other.inner_losses, rel=1e-12)
    for mine, theirs in zip([*one.start, *one.rates], [*other.start, *other.rates], strict=True):
        assert mine.shape == theirs.shape
        torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-12)
