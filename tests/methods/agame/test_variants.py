"""Each variant of section 13 is a setting, and has its effect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from maskcast.core.errors import ConfigError
from maskcast.methods.agame.config import AgameConfig, FusionConfig, PropagationConfig
from maskcast.methods.agame.framing import indicator, to_grid
from maskcast.methods.agame.network import AgameNetwork, FrameFeatures, Prediction, TrackedObjects
from maskcast.methods.agame.presets import tiny
from maskcast.methods.agame.training.clip_loss import clip_losses


def config(*, propagation: dict[str, Any] | None = None, **appearance: Any) -> AgameConfig:
    standard = tiny()
    return replace(
        standard,
        appearance=replace(standard.appearance, **appearance),
        propagation=replace(standard.propagation, **(propagation or {})),
    )


class Variant:
    """A network of one variant, an object begun on one frame and segmented in the next."""

    def __init__(self, settings: AgameConfig) -> None:
        torch.manual_seed(0)
        self.network = AgameNetwork(settings).eval()
        generator = torch.Generator().manual_seed(1)
        self.first, self.second = torch.randn(2, 1, 3, 48, 64, generator=generator).unbind()
        mask = torch.zeros(1, 48, 64, dtype=torch.bool)
        mask[:, 10:35, 12:50] = True
        self.y = to_grid(indicator(mask))

    @torch.no_grad()
    def run(self) -> tuple[FrameFeatures, TrackedObjects, Prediction]:
        objects = self.network.begin(self.network.features(self.first), self.y)
        features = self.network.features(self.second)
        return features, objects, self.network.predict(features, objects)


def test_unimodal_has_two_components() -> None:
    variant = Variant(config(residual=False))
    _, objects, prediction = variant.run()
    assert objects.mixture is not None
    assert objects.mixture.means.shape[1] == 2
    assert prediction.scores is not None
    assert prediction.scores.shape[1] == 2
    assert variant.network.fusion.first.in_channels == 2 + 8
    assert variant.network.appearance is not None
    assert len(variant.network.appearance.raw_floor) == 4  # two of them unused, as published


def test_without_appearance_there_is_nothing_to_estimate() -> None:
    variant = Variant(config(output="none"))
    features, objects, prediction = variant.run()
    assert features.x is None
    assert objects.mixture is None
    assert prediction.scores is None
    assert variant.network.fusion.first.in_channels == 8
    assert prediction.fine.shape == (1, 2, 48, 64)


def test_without_propagation_the_previous_mask_has_no_effect() -> None:
    variant = Variant(config(propagation={"enabled": False}))
    features, objects, prediction = variant.run()
    assert objects.part_of_first_frame is None
    assert variant.network.fusion.first.in_channels == 4
    elsewhere = replace(objects, previous_mask=objects.previous_mask.flip(1))
    assert variant.network.predict(features, elsewhere).fine.equal(prediction.fine)
    standard = Variant(config())
    features, objects, prediction = standard.run()
    elsewhere = replace(objects, previous_mask=objects.previous_mask.flip(1))
    assert not standard.network.predict(features, elsewhere).fine.equal(prediction.fine)


def test_without_update_the_first_estimate_stays() -> None:
    variant = Variant(config(update_rate=0.0))
    features, objects, _ = variant.run()
    updated = variant.network.update(features, objects, variant.y.flip(1))
    assert updated.mixture is not None
    assert objects.mixture is not None
    assert updated.mixture.means.equal(objects.mixture.means)
    assert not updated.previous_mask.equal(objects.previous_mask)  # this one goes on


def test_the_posterior_is_the_softmax_of_the_scores() -> None:
    _, _, scores = Variant(config()).run()
    _, _, posterior = Variant(config(output="posterior")).run()
    assert scores.scores is not None
    assert posterior.scores is not None
    torch.testing.assert_close(posterior.scores, scores.scores.softmax(dim=1))


def gradient_of_projection(settings: AgameConfig) -> Tensor:
    """Its gradient from the mixture alone: the frame to be segmented gives none."""
    torch.manual_seed(0)
    net = AgameNetwork(settings).eval()
    assert net.appearance is not None
    x = torch.randn(1, 12, settings.appearance.channels, requires_grad=True)
    y = torch.rand(1, 2, 12)
    mixture = net.appearance.estimate(x, y)
    total = net.appearance.output(x.detach(), mixture).sum() + 0 * x.sum()
    total.backward()
    assert x.grad is not None
    return x.grad


def test_without_end_to_end_no_gradient_passes_the_estimation() -> None:
    assert gradient_of_projection(config(end_to_end=False)).eq(0).all()
    assert not gradient_of_projection(config()).eq(0).all()
    net = AgameNetwork(config(end_to_end=False))
    frames = torch.randn(1, 2, 3, 32, 32)
    labels = torch.zeros(1, 2, 32, 32, dtype=torch.int64)
    labels[..., 8:, 8:] = 1
    clip_losses(net, frames, labels, auxiliary=True).main.backward()
    assert net.appearance is not None
    assert net.appearance.raw_floor.grad is None
    assert net.appearance.projection.weight.grad is not None  # the scores still teach it


def test_a_fixed_variance_is_the_floor() -> None:
    variant = Variant(config(estimate_variance=False))
    _, objects, _ = variant.run()
    assert variant.network.appearance is not None
    assert objects.mixture is not None
    floor = softplus(variant.network.appearance.raw_floor)
    torch.testing.assert_close(objects.mixture.variances[0], floor, rtol=1e-6, atol=0)
    _, standard, _ = Variant(config()).run()
    assert standard.mixture is not None
    assert (standard.mixture.variances[0, :2] > floor[:2]).float().mean() > 0.9


def test_offsets_are_added_to_scores_and_shift_the_residual_weights() -> None:
    _, standard, _ = Variant(config()).run()
    constant = (0.5, -8.0, 1.0, -2.0)
    _, objects, prediction = Variant(config(score_offsets=constant)).run()
    assert objects.mixture is not None
    assert standard.mixture is not None
    base, residual = slice(0, 2), slice(2, 4)
    assert objects.mixture.means[:, base].equal(standard.mixture.means[:, base])
    assert not objects.mixture.means[:, residual].equal(standard.mixture.means[:, residual])
    learned = config(score_offsets=constant, learned_offsets=True, initial_learned_offset=0.75)
    _, again, shifted = Variant(learned).run()
    assert again.mixture is not None
    # the same constant everywhere changes no posterior, so the mixture stays and scores shift
    torch.testing.assert_close(again.mixture.means, objects.mixture.means)
    assert prediction.scores is not None
    assert shifted.scores is not None
    torch.testing.assert_close(shifted.scores, prediction.scores + 0.75)


def test_scores_can_be_scaled_for_the_fusion() -> None:
    _, _, standard = Variant(config()).run()
    _, _, scaled = Variant(config(score_scale=0.25)).run()
    assert standard.scores is not None
    assert scaled.scores is not None
    torch.testing.assert_close(scaled.scores, 0.25 * standard.scores)


def test_the_floor_starts_where_it_is_told() -> None:
    net = AgameNetwork(config(initial_floor=1.5))
    assert net.appearance is not None
    assert net.appearance.raw_floor.eq(1.5).all()


def test_propagation_without_first_frame_is_narrower() -> None:
    variant = Variant(config(propagation={"first_frame": False}))
    assert variant.network.propagation is not None
    assert variant.network.propagation.compare.in_channels == 512 + 2
    variant.run()


def test_the_coarse_predictor_may_be_3x3() -> None:
    settings = replace(tiny(), fusion=FusionConfig(hidden_channels=8, channels=6, coarse_kernel=3))
    variant = Variant(settings)
    assert variant.network.fusion.coarse.weight.shape[-2:] == (3, 3)
    assert variant.run()[2].coarse.shape == (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (lambda: config(output="none", propagation={"enabled": False}), "enable one of them"),
        (lambda: config(update_rate=1.5), "update_rate"),
        (lambda: config(score_offsets=(1.0, 2.0)), "4 values"),
        (lambda: config(score_scale=0.0), "score_scale must be greater than 0"),
        (lambda: FusionConfig(channels=0), "at least 1"),
        (lambda: PropagationConfig(channels=0), "at least 1"),
    ],
)
def test_nonsense_is_refused(settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings()
