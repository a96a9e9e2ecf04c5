"""Inner steps at learned rates: their levels, their names in files, and the draws of each step."""

from __future__ import annotations

import pytest
import torch

from maskcast.core.errors import WeightsError
from maskcast.core.randomness import generator_of, seeded
from maskcast.methods.eosvos import inner_loop
from maskcast.methods.eosvos.inner_loop import (
    LearnedStart,
    fine_tune,
    inner_step,
    learned_start_of,
)
from maskcast.methods.eosvos.training.meta_training import clamp_rates

from . import small

PARAMETERS = {"a.weight": torch.ones(3, 2), "a.bias": torch.zeros(3)}


def test_every_neuron_steps_at_its_own_rate():
    theta = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    gradient = torch.tensor([[1.0, -1.0], [2.0, 2.0]])
    inner_step([theta], [gradient], [torch.tensor([[0.1], [0.5]])])
    torch.testing.assert_close(theta, torch.tensor([[0.9, 2.1], [2.0, 3.0]]))


@pytest.mark.parametrize(
    ("level", "shapes"),
    [
        ("neuron", [(3, 1), (3,)]),
        ("tensor", [(2, 1)]),
        ("param", [(3, 2), (3,)]),
        ("single", [(1, 1)]),
    ],
)
def test_rates_have_the_shape_of_their_level(level, shapes):
    learned = LearnedStart(PARAMETERS, level=level, generator=generator_of(0))
    assert [tuple(r.shape) for r in learned.stored_rates] == shapes
    for rate, value in zip(learned.rates(), PARAMETERS.values(), strict=True):
        assert (torch.zeros_like(value) + rate).shape == value.shape
    drawn = torch.cat([r.flatten() for r in learned.stored_rates])
    if level == "single":
        assert drawn.tolist() == [pytest.approx(0.001)]
    else:
        assert ((drawn >= 0.0005) & (drawn < 0.0015)).all()


def test_keys_are_the_published_ones():
    learned = LearnedStart(PARAMETERS)
    assert list(learned.state_dict()) == [
        "log_init_lr_a-weight",
        "log_init_lr_a-bias",
        "model_init_a-weight",
        "model_init_a-bias",
    ]
    assert next(iter(LearnedStart(PARAMETERS, level="single").state_dict())) == "log_init_lr"


def test_rates_are_clamped_after_every_outer_step():
    learned = LearnedStart(PARAMETERS)
    learned.stored_rates[1].data = torch.tensor([-0.1, 0.2, 0.9])
    clamp_rates(learned, max_rate=0.5)
    assert learned.stored_rates[1].tolist() == pytest.approx([0, 0.2, 0.5])


def test_stored_logarithms_mean_the_same_rates():
    plain = LearnedStart(PARAMETERS, generator=generator_of(3))
    logs = LearnedStart(PARAMETERS, generator=generator_of(3), log_rates=True)
    for one, other in zip(plain.rates(), logs.rates(), strict=True):
        torch.testing.assert_close(one, other)
    logs.stored_rates[0].data.fill_(-50)
    clamp_rates(logs)
    assert logs.stored_rates[0].min() == -33


def test_negative_rates_in_a_file_are_refused():
    learned = LearnedStart(PARAMETERS)
    tensors = {**learned.state_dict(), "log_init_lr_a-bias": torch.tensor([-1.0, 0, 0])}
    with pytest.raises(WeightsError, match="negative"):
        learned.load_tensors(tensors)
    with pytest.raises(WeightsError, match="do not match"):
        learned.load_tensors({})


def test_fine_tuning_lowers_the_loss_and_follows_its_seed():
    losses = []
    for _ in range(2):
        network = small.network(sampled_regions=8, sampled_anchors=16)
        rates = learned_start_of(network, generator=generator_of(0), initial_rate=0.02).rates()
        batch = small.batch(network, 0)
        torch.rand(7)  # what others draw must not matter
        losses.append(
            fine_tune(network, [r.detach() for r in rates], lambda _, b=batch: b, steps=6, seed=1)
        )
    assert losses[0] == losses[1]
    assert losses[0][-1]["total"] < losses[0][0]["total"]


def test_every_step_draws_from_a_seed_of_its_own(monkeypatch):
    network = small.network()
    seeds = []

    def noting(seed, device):
        seeds.append(seed)
        return seeded(seed, device)

    monkeypatch.setattr(inner_loop, "seeded", noting)
    rates = [torch.zeros(()) for p in network.parameters() if p.requires_grad]
    batch = small.batch(network, 0)
    fine_tune(network, rates, lambda _: batch, steps=3, seed=7)
    assert seeds == [7, 8, 9]


def test_fine_tuning_stops_when_nothing_improves():
    network = small.network()
    rates = [torch.zeros(()) for p in network.parameters() if p.requires_grad]
    batch = small.batch(network, 0)
    assert len(fine_tune(network, rates, lambda _: batch, steps=9, seed=0, patience=3)) == 4


def test_draws_leave_the_global_generator_alone():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    with seeded(3):
        drawn = torch.rand(2)
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(3):
        assert torch.equal(torch.rand(2), drawn)
    assert generator_of(1, 2).initial_seed() != generator_of(2, 1).initial_seed()
