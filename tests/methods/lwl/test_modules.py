"""Target features, label encoder, box encoder and decoder: what can be said without weights."""

from __future__ import annotations

from math import sqrt

import pytest
import torch

from maskcast.methods.lwl.box_encoder import BoxEncoder, box_masks
from maskcast.methods.lwl.decoder import Decoder, Upsampler
from maskcast.methods.lwl.label_encoder import LabelEncoder, MaskAsLabel
from maskcast.methods.lwl.target_model import (
    TargetFeatures,
    apply_target_model,
    normalise_features,
)
from maskcast.nn.resnet import Taps


def test_features_have_the_same_energy_whatever_the_image() -> None:
    x = torch.randn(2, 512, 3, 4) * torch.tensor([1e-2, 1e3]).view(2, 1, 1, 1)
    found = normalise_features(x, kernel_size=3)
    rms = found.square().mean(dim=(1, 2, 3)).sqrt()
    torch.testing.assert_close(rms, torch.full((2,), 1 / sqrt(4608)), rtol=1e-4, atol=0)


def test_large_features_in_half_precision_are_not_infinite() -> None:
    x = 1000 * torch.randn(1, 64, 3, 4)
    found = normalise_features(x.half(), kernel_size=3)
    exact = normalise_features(x, kernel_size=3)
    # half precision cannot tell numbers near 0 that are less than 6e-8 apart
    torch.testing.assert_close(found.float(), exact, rtol=2e-3, atol=1e-7)


def test_features_of_nothing_are_finite() -> None:
    assert torch.equal(TargetFeatures(4, 8, kernel_size=3)(torch.zeros(1, 4, 2, 2)),
                       torch.zeros(1, 8, 2, 2))  # fmt: skip


def test_every_sequence_has_its_own_filters() -> None:
    x, tau = torch.randn(2, 3, 4, 5, 6), torch.randn(3, 2, 4, 3, 3)
    found = apply_target_model(tau, x)
    for b in range(3):
        expected = torch.nn.functional.conv2d(x[:, b], tau[b], padding=1)
        torch.testing.assert_close(found[:, b], expected, rtol=1e-5, atol=1e-5)


def test_training_starts_from_uniform_weights_and_labels_are_not_negative() -> None:
    torch.manual_seed(0)
    encoder = LabelEncoder(6, (4, 4, 8))
    label, weight = encoder(torch.rand(2, 33, 50))
    assert label.shape == weight.shape == (2, 6, 3, 4)
    assert (label >= 0).all() and label.any()
    assert torch.equal(weight, torch.ones_like(weight))
    assert LabelEncoder(6, (4, 4, 8), learned_weight=False).weight is None


def test_the_baseline_label_is_the_share_of_each_cell() -> None:
    mask = torch.zeros(1, 32, 48)
    mask[0, :8, :16] = 1  # half of the first cell
    mask[0, 16:, 32:] = 1  # all of the last one
    label, weight = MaskAsLabel()(mask)
    assert label[0, 0].tolist() == [[0.5, 0, 0], [0, 0, 1]]
    assert torch.equal(weight, torch.ones_like(label))


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((2.9, 1.9, 3.9, 2.9), (1, 3), (2, 5)),  # truncated, not rounded
        ((-2.0, -1.0, 4.0, 3.0), (0, 2), (0, 2)),  # clipped
        ((6.0, 4.0, 90.0, 90.0), (4, 6), (6, 8)),
        ((3.0, 2.0, 0.5, 0.5), (2, 3), (3, 4)),  # one pixel is left
        ((40.0, 40.0, 5.0, 5.0), (5, 6), (7, 8)),
    ],
)
def test_box_masks(box: tuple[float, ...], rows: tuple[int, int], columns: tuple[int, int]) -> None:
    expected = torch.zeros(6, 8)
    expected[slice(*rows), slice(*columns)] = 1
    assert torch.equal(box_masks(torch.tensor([box]), (6, 8))[0], expected)


def test_box_encoder_tells_boxes_apart() -> None:
    torch.manual_seed(0)
    encoder = BoxEncoder(4, 3, width=8)
    boxes = torch.tensor([[0.0, 0.0, 16.0, 16.0], [16.0, 16.0, 16.0, 16.0]])
    found = encoder(boxes, torch.zeros(2, 4, 2, 3), (32, 48))
    assert found.shape == (2, 3, 2, 3)
    assert not torch.equal(found[0], found[1])


def small_decoder() -> tuple[Decoder, Taps]:
    torch.manual_seed(0)
    channels = (4, 6, 8, 10)
    decoder = Decoder(channels, 3, (4, 6, 6, 8), 5).eval()
    sizes = ((9, 13), (5, 7), (3, 4), (2, 2))
    taps = Taps(*(torch.randn(1, c, *size) for c, size in zip(channels, sizes, strict=True)))
    return decoder, taps


def test_decoder_gives_any_size() -> None:
    decoder, taps = small_decoder()
    assert decoder(torch.randn(1, 3, 3, 4), taps, (35, 50)).shape == (1, 35, 50)


def test_one_image_serves_several_encodings() -> None:
    decoder, taps = small_decoder()
    scores = torch.randn(3, 3, 3, 4)
    together = decoder(scores, taps, (33, 49))
    for one, encoding in zip(together, scores, strict=True):
        torch.testing.assert_close(one, decoder(encoding[None], taps, (33, 49))[0])


@pytest.mark.parametrize("upsampling", ["bicubic", "bilinear"])
def test_the_faster_upsampler_computes_the_same(upsampling: str) -> None:
    torch.manual_seed(0)
    decoder, taps = small_decoder()
    decoder.upsampler = Upsampler(4, 5, upsampling)
    decoder = decoder.double()
    taps = Taps(*(tap.double() for tap in taps))
    scores = torch.randn(2, 3, 3, 4, dtype=torch.float64)
    expected = decoder(scores, taps, (35, 50))
    decoder.speed_up_inference()
    torch.testing.assert_close(decoder(scores, taps, (35, 50)), expected, rtol=0, atol=1e-12)
