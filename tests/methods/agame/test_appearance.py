"""The appearance model against values worked out one cell at a time."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from maskcast.methods.agame.appearance import AppearanceModel, Mixture, blend, moments, score
from maskcast.methods.agame.config import AppearanceConfig

EXACT = {"rtol": 0, "atol": 1e-12}


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def masks(objects: int, cells: int) -> Tensor:
    target = random(objects, cells, seed=7).sigmoid()
    return torch.stack([1 - target, target], dim=1)


def model(**settings: object) -> AppearanceModel:
    torch.manual_seed(3)
    made = AppearanceModel(AppearanceConfig(channels=5, **settings), feature_channels=6)  # type: ignore[arg-type]
    with torch.no_grad():
        made.raw_floor.copy_(random(4, 5, seed=11))
    return made.double()


def slow_score(x: Tensor, mean: Tensor, variance: Tensor) -> float:
    terms = zip(x.tolist(), mean.tolist(), variance.tolist(), strict=True)
    return -0.5 * sum(log(v) + (value - m) ** 2 / v for value, m, v in terms)


@pytest.mark.parametrize("frames", [1, 2])
def test_scores_are_log_densities_without_their_constant(frames: int) -> None:
    x = 3 + random(frames, 7, 5)  # far from zero, as features after a ReLU are
    mixture = Mixture(3 + random(2, 4, 5, seed=1), random(2, 4, 5, seed=2).exp())
    found = score(x, mixture)
    for o in range(2):
        for k in range(4):
            for p in range(7):
                cell = x[o if frames == 2 else 0, p]
                expected = slow_score(cell, mixture.means[o, k], mixture.variances[o, k])
                assert found[o, k, p].item() == pytest.approx(expected, abs=1e-11)


def test_scores_keep_their_digits_far_from_zero() -> None:
    x = 40 + random(1, 50, 5).float()
    mixture = Mixture(40 + random(1, 4, 5, seed=1).float(), torch.full((1, 4, 5), 0.1))
    exact = score(x.double(), Mixture(mixture.means.double(), mixture.variances.double()))
    torch.testing.assert_close(score(x, mixture).double(), exact, rtol=2e-5, atol=1e-3)


def test_moments_of_two_cells_by_hand() -> None:
    x = torch.tensor([[[1.0], [4.0]]], dtype=torch.float64)
    weights = torch.tensor([[[0.5, 0.25]]], dtype=torch.float64)
    found = moments(x, weights, torch.zeros(1, 1, dtype=torch.float64))
    mean = (0.5 * 1 + 0.25 * 4) / 1.75  # the pseudo-count 1 is in the denominator
    spread = (0.5 * (1 - mean) ** 2 + 0.25 * (4 - mean) ** 2) / 1.75
    assert found.means.item() == pytest.approx(mean, abs=1e-14)
    assert found.variances.item() == pytest.approx(log(2) + spread, abs=1e-14)


def test_without_weight_the_mean_is_zero_and_the_variance_the_floor_exactly() -> None:
    raw_floor = random(2, 5)
    found = moments(random(1, 9, 5), torch.zeros(3, 2, 9, dtype=torch.float64), raw_floor)
    assert found.means.eq(0).all()
    assert found.variances.equal(softplus(raw_floor).expand(3, 2, 5))


def test_equal_cells_have_no_variance_beyond_floor_and_shrinkage() -> None:
    x = torch.full((1, 1000, 2), 1e3)
    found = moments(x, torch.ones(1, 1, 1000), torch.full((1, 2), -20.0))
    shrinkage = 1000 * (1e3 / 1001) ** 2 / 1001
    assert found.variances[0, 0, 0].item() == pytest.approx(shrinkage, rel=2e-4)


def test_moments_keep_their_digits_far_from_zero() -> None:
    x, weights = 40 + random(1, 50, 5).float(), masks(2, 50).float()
    raw_floor = torch.full((2, 5), -5.0)
    exact = moments(x.double(), weights.double(), raw_floor.double())
    found = moments(x, weights, raw_floor)
    torch.testing.assert_close(found.means.double(), exact.means, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.variances.double(), exact.variances, rtol=1e-5, atol=0)


def test_estimation_follows_the_four_steps() -> None:
    made, x, y = model(), random(1, 9, 5), masks(2, 9)
    found = made.estimate(x, y)
    base = moments(x, y, made.raw_floor[:2])
    q = torch.stack(
        [torch.tensor([[slow_score(x[0, p], base.means[o, k], base.variances[o, k])
                        for p in range(9)] for k in range(2)]) for o in range(2)]
    ).double().softmax(dim=1)  # fmt: skip
    residual = moments(x, (q - y).clamp_min(0), made.raw_floor[2:])
    torch.testing.assert_close(found.means[:, :2], base.means, **EXACT)
    torch.testing.assert_close(found.variances[:, 2:], residual.variances, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.means[:, 2:], residual.means, rtol=0, atol=1e-6)


def test_a_distractor_ends_up_in_the_residual_target_component() -> None:
    x = torch.zeros(1, 60, 5, dtype=torch.float64)
    x[:, :20] = 3.0  # the object, and a look-alike which the mask calls background
    y = torch.zeros(1, 2, 60, dtype=torch.float64)
    y[:, 1, :10] = 1
    y[:, 0] = 1 - y[:, 1]
    found = model().estimate(x, y)
    assert found.means[0, 3].min() > 1  # component 3 has taken the look-alike's colour
    assert found.means[0, 2].abs().max() < 0.5


def test_a_frame_without_the_object_changes_the_background_by_the_mean_of_all_cells() -> None:
    made, x = model(), random(1, 9, 5)
    running = Mixture(random(2, 4, 5, seed=1), random(2, 4, 5, seed=2).exp())
    found = made.update_without_object(running, x)
    floor = softplus(made.raw_floor)
    for c in range(5):
        values = x[0, :, c].tolist()
        mean = sum(values) / 10  # nine cells of weight 1, and the pseudo-count
        variance = floor[0, c].item() + sum((value - mean) ** 2 for value in values) / 10
        for o in range(2):
            by_hand = 0.9 * running.means[o, 0, c].item() + 0.1 * mean
            assert found.means[o, 0, c].item() == pytest.approx(by_hand, abs=1e-12)
            by_hand = 0.9 * running.variances[o, 0, c].item() + 0.1 * variance
            assert found.variances[o, 0, c].item() == pytest.approx(by_hand, abs=1e-12)
    assert found.means[:, 1:3].equal(running.means[:, 1:3])  # no evidence about these
    assert found.variances[:, 1:3].equal(running.variances[:, 1:3])


def test_what_looks_like_an_absent_object_becomes_a_distractor() -> None:
    made, x = model(), random(1, 9, 5)
    running = Mixture(random(2, 4, 5, seed=1), random(2, 4, 5, seed=2).exp())
    background = moments(x, torch.ones(2, 1, 9, dtype=torch.float64), made.raw_floor[:1])
    found = made.update_without_object(running, x)
    for o in range(2):
        scores = [
            [slow_score(cell, mean, variance) for cell in x[0]]
            for mean, variance in (
                (background.means[o, 0], background.variances[o, 0]),
                (running.means[o, 1], running.variances[o, 1]),
            )
        ]
        target = torch.tensor(scores, dtype=torch.float64).softmax(dim=0)[1]
        mean = (target[:, None] * x[0]).sum(dim=0) / (1 + target.sum())
        by_hand = 0.9 * running.means[o, 3] + 0.1 * mean
        torch.testing.assert_close(found.means[o, 3], by_hand, rtol=0, atol=1e-10)
        assert not found.variances[o, 3].equal(running.variances[o, 3])


def test_a_model_without_residual_components_learns_the_background_of_an_absence() -> None:
    made, x = model(residual=False), random(1, 9, 5)
    running = Mixture(random(2, 2, 5, seed=1), random(2, 2, 5, seed=2).exp())
    found = made.update_without_object(running, x)
    expected = 0.9 * running.means[:, 0] + 0.1 * x[0].sum(dim=0) / 10
    torch.testing.assert_close(found.means[:, 0], expected, **EXACT)
    assert found.means[:, 1].equal(running.means[:, 1])


def test_gradients_flow_through_estimation_and_scores() -> None:
    made, y = model(), masks(1, 4)
    x = random(1, 4, 5).requires_grad_()
    y.requires_grad_()

    def scores(x: Tensor, y: Tensor) -> Tensor:
        return made.score(x, made.update(made.estimate(x, y), x + 0.3, y.square()))

    assert torch.autograd.gradcheck(scores, (x, y), atol=1e-6)


def test_blending_is_linear_in_means_and_variances() -> None:
    old, new = (Mixture(random(1, 4, 5, seed=s), random(1, 4, 5, seed=s + 1)) for s in (1, 5))
    found = blend(old, new, 0.1)
    torch.testing.assert_close(found.means, 0.9 * old.means + 0.1 * new.means, **EXACT)
    torch.testing.assert_close(found.variances, 0.9 * old.variances + 0.1 * new.variances, **EXACT)


def test_projection_is_a_1x1_convolution() -> None:
    made, features = model(), random(2, 6, 3, 4)
    torch.testing.assert_close(
        made.project(features), made.projection(features).flatten(2).mT, rtol=0, atol=1e-12
    )


def test_objects_do_not_see_each_other() -> None:
    made, x, y = model(), random(1, 9, 5), masks(3, 9)
    together = made.estimate(x, y)
    for o in range(3):
        alone = made.estimate(x, y[o : o + 1])
        torch.testing.assert_close(together.select(torch.tensor([o])).means, alone.means, **EXACT)
        torch.testing.assert_close(together.variances[o], alone.variances[0], **EXACT)
