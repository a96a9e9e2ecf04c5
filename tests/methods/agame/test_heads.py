"""Propagation, fusion and decoder: the split convolutions against the ones written in the paper."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from maskcast.methods.agame.config import FusionConfig, PropagationConfig
from maskcast.methods.agame.decoder import Decoder, Refinement
from maskcast.methods.agame.fusion import Fusion
from maskcast.methods.agame.propagation import MaskPropagation

CLOSE = {"rtol": 0, "atol": 1e-12}


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def test_propagation_is_a_convolution_of_everything_concatenated() -> None:
    module = MaskPropagation(PropagationConfig(channels=7), feature_channels=5).double()
    current, first = random(1, 5, 4, 6), random(1, 5, 4, 6)
    first_masks, previous = random(3, 2, 4, 6), random(3, 2, 4, 6)
    part = module.part_of_first_frame(first, first_masks)
    found = module(module.part_of_this_frame(current), part, previous)
    for slot in range(3):
        whole = torch.cat([current, first, previous[slot, None], first_masks[slot, None]], dim=1)
        compared = module.compare(whole).relu()
        pyramid = [layer(compared) for layer in module.pyramid]
        expected = module.gather(torch.cat(pyramid, dim=1).relu()).relu()
        torch.testing.assert_close(found[slot, None], expected, **CLOSE)


def test_the_pyramid_looks_1_3_and_6_cells_away() -> None:
    module = MaskPropagation(PropagationConfig(channels=1), feature_channels=1)
    impulse = torch.zeros(1, 1, 15, 15)
    impulse[0, 0, 7, 7] = 1
    for layer, reach in zip(module.pyramid, (1, 3, 6), strict=True):
        assert isinstance(layer, nn.Conv2d)
        rows = layer(impulse).sub(layer.bias.view(1, 1, 1, 1)).abs().sum(dim=3).flatten()  # type: ignore[union-attr]
        assert rows.nonzero().flatten().tolist() == [7 - reach, 7, 7 + reach]


def test_propagation_without_first_frame_sees_the_current_one_alone() -> None:
    config = PropagationConfig(channels=7, first_frame=False)
    module = MaskPropagation(config, feature_channels=5).double()
    assert module.compare.in_channels == 5 + 2
    masks = random(2, 2, 4, 6)
    parts = [module.part_of_first_frame(random(1, 5, 4, 6), m) for m in (masks, random(2, 2, 4, 6))]
    assert parts[0].equal(parts[1])
    current = random(1, 5, 4, 6)
    found = module.first_layer(module.part_of_this_frame(current), parts[0], masks)
    expected = module.compare(torch.cat([current.expand(2, -1, -1, -1), masks], dim=1)).relu()
    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("kernel", [1, 3])
def test_the_coarse_predictor_keeps_the_grid(kernel: int) -> None:
    config = FusionConfig(hidden_channels=6, channels=5, coarse_kernel=kernel)  # type: ignore[arg-type]
    module = Fusion(config, 4, 3).double()
    scores, propagated = random(2, 4, 4, 6), random(2, 3, 4, 6)
    encoding, coarse = module(scores, propagated)
    hidden = module.first(torch.cat([scores, propagated], dim=1)).relu()
    torch.testing.assert_close(encoding, module.second(hidden).relu(), **CLOSE)
    assert coarse.shape == (2, 2, 4, 6)
    assert module.coarse.kernel_size == (kernel, kernel)


def test_refinement_puts_lateral_features_first() -> None:
    module = Refinement(5, 3, 4).double()
    features, coarse = random(1, 5, 8, 12), random(2, 3, 4, 6)
    found = module(features, coarse)
    enlarged = functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    lateral = module.lateral(features).relu().expand(2, -1, -1, -1)
    expected = module.blend(torch.cat([lateral, enlarged], dim=1)).relu()
    torch.testing.assert_close(found, expected, **CLOSE)


def test_logits_are_enlarged_four_times_at_the_end() -> None:
    module = Decoder(5, 6, 3, 4).double()
    stride4, stride8, encoding = random(1, 5, 16, 24), random(1, 6, 8, 12), random(2, 3, 4, 6)
    logits = module.fine(module.stride4(stride4, module.stride8(stride8, encoding)))
    found = module(encoding, stride8, stride4)
    assert found.shape == (2, 2, 64, 96)
    expected = functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, expected, **CLOSE)
