"""Trunks by name, and weights files they can be filled from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from maskcast.core.errors import WeightsError
from maskcast.nn.efficientnet_lite import EfficientNetLiteTrunk
from maskcast.nn.resnet import ResNetTrunk, Taps
from maskcast.nn.trunks import AnyTrunk, build_trunk, dead_channels, load_trunk


@pytest.mark.parametrize("name", ["resnet18", "efficientnet-lite0", "efficientnet-lite2"])
def test_a_trunk_is_taken_out_of_the_weights_of_one_of_our_networks(name) -> None:
    torch.manual_seed(0)
    source, target = build_trunk(name), build_trunk(name)
    network = {f"trunk.{key}": tensor.half() for key, tensor in source.state_dict().items()}
    network |= {"features.conv.weight": torch.zeros(1), "learner.kappa": torch.zeros(1)}
    load_trunk(target, network)
    for key, tensor in target.state_dict().items():
        torch.testing.assert_close(tensor, source.state_dict()[key].half().to(tensor.dtype))


def test_names_give_the_trunk_asked_for() -> None:
    with torch.device("meta"):
        lite0, lite2 = build_trunk("efficientnet-lite0"), build_trunk("efficientnet-lite2")
        caffe = build_trunk("resnet50", stride_in="first-1x1")
    assert isinstance(lite0, EfficientNetLiteTrunk) and isinstance(caffe, ResNetTrunk)
    assert caffe.layer2[0].conv1.stride == (2, 2)
    assert [sum(p.numel() for p in trunk.parameters()) for trunk in (lite0, lite2)] == [
        # published numbers without head (1280 × (320 or 352) + 2 × 1280) and classifier
        4_652_008 - 1280 * 322 - 1_281_000,
        6_092_072 - 1280 * 354 - 1_281_000,
    ]


def published_names(trunk: EfficientNetLiteTrunk) -> dict[str, Tensor]:
    return {"_conv_stem.weight": trunk.conv1.weight, "_fc.bias": torch.zeros(1000)}


@pytest.mark.parametrize(
    ("trunk", "tensors"),
    [
        ("efficientnet-lite0", published_names(EfficientNetLiteTrunk())),
        ("efficientnet-lite2", EfficientNetLiteTrunk().state_dict()),
        ("resnet18", EfficientNetLiteTrunk().state_dict()),
        ("efficientnet-lite0", ResNetTrunk("resnet18").state_dict()),
    ],
    ids=["incomplete", "another Lite", "Lite in a ResNet", "ResNet in a Lite"],
)
def test_weights_of_another_trunk_are_rejected(trunk, tensors) -> None:
    made: AnyTrunk = build_trunk(trunk)
    with pytest.raises(WeightsError, match=r"weights do not match the trunk"):
        load_trunk(made, tensors)


def test_channels_that_are_the_same_everywhere_are_dead() -> None:
    layer1 = torch.zeros(2, 4, 1, 2)
    layer1[1, 0, 0, 1] = 1e-6  # responds once
    layer1[:, 1] = -3.0  # a bias and nothing else
    layer1[0, 2] = 1.0  # responds to one image
    taps = Taps(layer1, layer1[:, :1], layer1[:, 1:2], layer1[:, [0, 2]])
    assert dead_channels(taps) == {"layer1": 0.5, "layer2": 0.0, "layer3": 1.0, "layer4": 0.0}


def test_a_killed_relu_is_found_in_a_trunk() -> None:
    torch.manual_seed(0)
    trunk = ResNetTrunk("resnet18").eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        before = dead_channels(trunk(images))
        trunk.layer4[-1].bn2.bias.fill_(-1e6)
        after = dead_channels(trunk(images))
    assert before["layer4"] < 0.1
    assert after == before | {"layer4": 1.0}
