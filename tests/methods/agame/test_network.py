"""The network as a whole: batching of objects, precision, beginning and updating."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from maskcast.methods.agame.config import AgameConfig
from maskcast.methods.agame.framing import indicator, to_grid
from maskcast.methods.agame.network import AgameNetwork, TrackedObjects
from maskcast.methods.agame.presets import tiny


@cache
def network() -> AgameNetwork:
    torch.manual_seed(0)
    return AgameNetwork(tiny()).eval().requires_grad_(False)


def image(seed: int = 0) -> Tensor:
    return torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(seed))


def grids(objects: int) -> Tensor:
    masks = torch.zeros(objects, 48, 64, dtype=torch.bool)
    for slot in range(objects):
        masks[slot, 8 * slot : 8 * slot + 20, 10 : 30 + 9 * slot] = True
    return to_grid(indicator(masks))


def begun(objects: int) -> TrackedObjects:
    return network().begin(network().features(image()), grids(objects))


def test_the_published_network_has_the_published_size() -> None:
    with torch.device("meta"):
        published = AgameNetwork(AgameConfig())
    parameters = list(published.parameters())
    trained = [p for p in parameters if p.requires_grad]
    assert sum(p.numel() for p in parameters) == 65_517_228
    assert sum(p.numel() for p in trained) == 35_932_804
    assert len(trained) == 59
    assert len(published.state_dict()) == 655


def test_weights_start_as_published() -> None:
    torch.manual_seed(0)
    fresh = AgameNetwork(tiny())
    assert fresh.appearance is not None
    assert fresh.appearance.raw_floor.eq(-2).all()
    for convolution in (fresh.fusion.first, fresh.appearance.projection):
        bound = (6 / convolution.weight[0].numel()) ** 0.5
        assert 0.9 * bound < convolution.weight.abs().max() <= bound
    assert fresh.fusion.first.bias is not None
    assert fresh.fusion.first.bias.eq(0).all()
    assert fresh.appearance.projection.bias is not None
    assert 0 < fresh.appearance.projection.bias.abs().max() <= 512**-0.5


def test_objects_together_are_objects_alone() -> None:
    features = network().features(image(1))
    objects = begun(3)
    together = network().predict(features, objects)
    updated = network().update(features, objects, grids(4)[1:])
    assert updated.mixture is not None
    for slot in range(3):
        alone = network().predict(features, objects.select([slot]))
        torch.testing.assert_close(together.fine[slot], alone.fine[0], rtol=1e-4, atol=1e-5)
        after = network().update(features, objects.select([slot]), grids(4)[slot + 1, None])
        assert after.mixture is not None
        torch.testing.assert_close(updated.mixture.means[slot], after.mixture.means[0])


def test_an_update_keeps_the_first_frame_and_replaces_the_previous_mask() -> None:
    objects = begun(1)
    updated = network().update(network().features(image(1)), objects, grids(2)[1:])
    assert updated.first_mask is objects.first_mask
    assert updated.part_of_first_frame is objects.part_of_first_frame
    assert updated.previous_mask.equal(grids(2)[1:])


def test_selecting_and_joining_keep_objects_whole() -> None:
    objects = begun(3)
    again = objects.select([2, 0]).joined(objects.select([1])).select([1, 2, 0])
    assert again.first_mask.equal(objects.first_mask)
    assert again.mixture is not None
    assert objects.mixture is not None
    assert again.mixture.variances.equal(objects.mixture.variances)
    assert again.part_of_first_frame is not None
    assert again.part_of_first_frame.equal(objects.part_of_first_frame)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_leaves_appearance_models_in_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    half = AgameNetwork(tiny()).eval().requires_grad_(False)
    half.use_dtype(dtype)
    features = half.features(image().to(dtype))
    assert features.stride4.dtype == dtype
    objects = half.begin(features, grids(2))
    prediction = half.predict(features, objects)
    assert objects.mixture is not None
    assert prediction.scores is not None
    kinds = {objects.mixture.means.dtype, prediction.scores.dtype, prediction.fine.dtype}
    assert kinds == {torch.float32}
    exact = network().predict(network().features(image()), begun(2))
    assert (prediction.fine - exact.fine).norm() < 0.05 * exact.fine.norm()


def test_objects_begin_in_float32_whatever_the_precision() -> None:
    torch.manual_seed(0)
    half = AgameNetwork(tiny()).eval().requires_grad_(False)
    half.use_dtype(torch.bfloat16)
    found = half.begin(half.features(image(), exact=True), grids(2))
    expected = begun(2)
    assert found.mixture is not None
    assert expected.mixture is not None
    assert found.mixture.variances.equal(expected.mixture.variances)
    assert found.part_of_first_frame is not None
    assert found.part_of_first_frame.equal(expected.part_of_first_frame)  # type: ignore[arg-type]
    assert half.features(image()).stride16.dtype == torch.bfloat16


def test_autocast_leaves_appearance_models_in_float32() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        features = network().features(image())
        objects = network().begin(features, grids(1))
    assert features.stride16.dtype == torch.bfloat16
    assert objects.mixture is not None
    assert objects.mixture.variances.dtype == torch.float32
    assert features.x is not None
    exact = network().appearance.estimate(features.x, grids(1).flatten(2))  # type: ignore[union-attr]
    assert objects.mixture.means.equal(exact.means)
