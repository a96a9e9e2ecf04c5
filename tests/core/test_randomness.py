"""Draws from a seed, on every kind of device, that leave the generators as they were."""

from __future__ import annotations

import pytest
import torch

from fixtures.pretended_cuda import CUDA, PretendedCuda
from maskcast.core.randomness import WithoutDraws, seeded


def test_the_global_generator_is_seeded_inside_and_put_back():
    before = torch.get_rng_state()
    drawn = []
    for seed in (1, 1, 2):
        with seeded(seed):
            drawn.append(torch.rand(3))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_the_generator_of_the_card_too():
    with PretendedCuda() as card:
        with seeded(1):
            assert not card.generator_calls
        with seeded(1, CUDA):
            assert card.generator_calls == {"get_rng_state": 1, "manual_seed": 1}
        assert card.generator_calls["set_rng_state"] == 1


def test_the_generator_of_mps_too(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: "state before")
    monkeypatch.setattr(torch.mps, "manual_seed", calls.append)
    monkeypatch.setattr(torch.mps, "set_rng_state", calls.append)
    with pytest.raises(KeyError), seeded(7, torch.device("mps")):
        assert calls == [7]
        raise KeyError
    assert calls == [7, "state before"]


def test_parameters_are_not_drawn_where_they_will_be_replaced():
    before = torch.get_rng_state()
    with WithoutDraws():
        layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 5), torch.nn.BatchNorm2d(2)]
        torch.nn.init.kaiming_normal_(layers[0].weight)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(layers[2].weight, torch.ones(2))  # constants are not draws
    torch.nn.Linear(4, 5)
    assert not torch.equal(torch.get_rng_state(), before)
