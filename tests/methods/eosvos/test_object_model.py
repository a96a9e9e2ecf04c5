from __future__ import annotations

import pytest
import torch

from maskcast.core.randomness import generator_of
from maskcast.methods.eosvos.config import RateLevel
from maskcast.methods.eosvos.inner_loop import learned_start_of
from maskcast.methods.eosvos.object_model import ObjectModel
from maskcast.methods.eosvos.online_adaptation import AnnotatedFrame

from . import small


@pytest.mark.parametrize("log_rates", [False, True])
@pytest.mark.parametrize("level", ["neuron", "tensor", "param", "single"])
def test_every_level_of_rates_takes_the_steps_that_the_file_says(
    level: RateLevel, log_rates: bool
) -> None:
    """Two steps on two copies of one frame and one of another, from the published keys by hand."""
    learned = learned_start_of(
        small.network(),
        level=level,
        log_rates=log_rates,
        initial_rate=0.05,
        generator=generator_of(2),
    )
    config = small.method(network=small.config(), rate_level=level, log_rates=log_rates)
    given, past = (AnnotatedFrame(small.frame(n), small.mask(n)) for n in (0, 1))
    model = ObjectModel(config, learned, device=torch.device("cpu"))
    found = model.fine_tune(None, (given, past, given), steps=2, seed=4)

    stored = learned.state_dict()
    network = small.network(seed=5)
    parameters = network.published_parameters()
    for name, parameter in parameters.items():
        parameter.data.copy_(stored[f"model_init_{name.replace('.', '-')}"])
    for _ in range(2):
        loss = network.losses(small.batch(network, 0, 1, 0))["total"]
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        for row, (name, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            if level in ("single", "tensor"):
                rate = stored["log_init_lr"][row if level == "tensor" else 0, 0]
            else:
                rate = stored[f"log_init_lr_{name.replace('.', '-')}"]
            parameters[name].data -= (rate.exp() if log_rates else rate) * gradient
    expected = torch.cat([p.detach().flatten() for p in parameters.values()])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_weights_that_diverge_are_told_and_find_nothing(caplog: pytest.LogCaptureFixture) -> None:
    learned = learned_start_of(small.network(), level="single", initial_rate=1e6)
    config = small.method(rate_level="single")
    model = ObjectModel(config, learned, device=torch.device("cpu"))
    given = AnnotatedFrame(small.frame(), small.mask())
    weights = model.fine_tune(None, (given,), steps=3, seed=1, what="fine-tuning on object 7")
    assert "fine-tuning on object 7: the weights are not finite" in caplog.text
    found = model.detect(weights, small.frame(1), (10.0, 8.0, 34.0, 28.0), seed=(1, 1))
    assert not found.probs.any() and found.score == 0
