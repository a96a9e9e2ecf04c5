"""Packed convolutions return the bits of the separate operations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from maskcast.nn.efficientnet_lite import EfficientNetLiteTrunk, SpatialConv2d
from maskcast.nn.packing import PackedConv2d, convolve, pack_convolutions
from maskcast.nn.resnet import ResNetTrunk, fold_batch_norm

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_convolution_pointwise"), reason="torch without oneDNN"
)

CONVOLUTIONS = {
    "3x3": nn.Conv2d(48, 40, 3, padding=1),
    "without bias": nn.Conv2d(32, 32, 3, padding=1, bias=False),
    "1x1": nn.Conv2d(24, 96, 1),
    "depthwise": nn.Conv2d(48, 48, 5, padding=2, groups=48),
    "stride": nn.Conv2d(16, 24, 3, 2, padding=1),
}


def noise(*size: int, seed: int = 0) -> Tensor:
    values = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return values.to(memory_format=torch.channels_last)


def is_packed(conv: PackedConv2d, x: Tensor) -> bool:
    conv(x)
    return conv._packed is not None


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("activation", ["none", "relu", "relu6"])
@pytest.mark.parametrize("adds", [False, True])
@torch.no_grad()
def test_one_kernel_returns_the_bits_of_several_operations(kind, activation, adds):
    conv = CONVOLUTIONS[kind].to(memory_format=torch.channels_last)
    x = 3 * noise(1, conv.in_channels, 31, 45)
    added = noise(*conv(x).shape, seed=1) if adds else None
    packed = PackedConv2d(conv)
    assert is_packed(packed, x)
    expected = convolve(x, conv, activation=activation, added=added)
    assert torch.equal(convolve(x, packed, activation=activation, added=added), expected)


@torch.no_grad()
def test_other_sizes_and_batches_may_follow():
    conv = CONVOLUTIONS["3x3"].to(memory_format=torch.channels_last)
    packed = PackedConv2d(conv, "relu")
    for size in ((1, 48, 31, 45), (3, 48, 20, 33), (1, 48, 50, 24)):
        assert torch.equal(packed(noise(*size)), convolve(noise(*size), conv, activation="relu"))


def test_small_inputs_and_training_use_the_separate_operations():
    packed = PackedConv2d(CONVOLUTIONS["3x3"], "relu")
    assert not is_packed(packed, noise(1, 48, 31, 45))  # with gradients
    with torch.no_grad():
        assert not is_packed(packed, noise(1, 48, 9, 16))
        assert (packed(noise(1, 48, 9, 16)) >= 0).all()


@pytest.mark.parametrize(("threads", "packs"), [(1, False), (2, True)])
@torch.no_grad()
def test_products_of_many_channels_are_packed_with_several_threads(threads, packs):
    conv = nn.Conv2d(480, 81, 1).to(memory_format=torch.channels_last)
    packed, x = PackedConv2d(conv), noise(1, 480, 18, 31)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert is_packed(packed, x) == packs
        assert torch.equal(packed(x, "relu6"), convolve(x, conv, activation="relu6"))
    finally:
        torch.set_num_threads(before)


def test_a_relu_becomes_part_of_the_convolution_before_it():
    layers = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.Identity(), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.Sigmoid()
    )
    pack_convolutions(layers)
    first, _, relu, second, _ = layers
    assert (first.activation, second.activation) == ("relu", "none")
    assert isinstance(relu, nn.Identity)


def test_the_padding_of_tensorflow_is_not_packed():
    same, symmetric = (
        nn.Sequential(SpatialConv2d(3, 8, 3, 2, padding=padding))
        for padding in ("same", "symmetric")
    )
    for layers in (same, symmetric):
        pack_convolutions(layers)
    assert isinstance(same[0], SpatialConv2d) and isinstance(symmetric[0], PackedConv2d)


@pytest.mark.parametrize(
    "make", [lambda: ResNetTrunk("resnet18"), lambda: EfficientNetLiteTrunk(padding="symmetric")]
)
@torch.no_grad()
def test_a_packed_trunk_returns_the_same_bits(make):
    torch.manual_seed(0)
    trunk = make().eval()
    fold_batch_norm(trunk)
    trunk.to(memory_format=torch.channels_last)
    images = noise(1, 3, 96, 160)
    expected = trunk(images)
    pack_convolutions(trunk)
    assert any(isinstance(module, PackedConv2d) for module in trunk.modules())
    for tap, its_expected in zip(trunk(images), expected, strict=True):
        assert torch.equal(tap, its_expected)
