"""The trunk: what it computes at which stride, and what in it is frozen."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from maskcast.core.errors import WeightsError
from maskcast.methods.agame.framing import normalise
from maskcast.methods.agame.trunk import Trunk
from maskcast.nn.efficientnet_lite import EfficientNetLiteTrunk


def trained_norms(trunk: Trunk) -> set[str]:
    """Stages with a BatchNorm that learns statistics."""
    norms = trunk.resnet.named_modules()
    return {name.split(".")[0] for name, m in norms if isinstance(m, nn.BatchNorm2d) and m.training}


def test_the_last_stage_stays_at_stride_16_its_first_block_undilated() -> None:
    with torch.device("meta"):
        stage = Trunk("resnet101").resnet.layer4
    convolutions = {n: m for n, m in stage.named_modules() if isinstance(m, nn.Conv2d)}
    assert {m.stride for m in convolutions.values()} == {(1, 1)}
    dilations = [convolutions[f"{block}.conv2"].dilation[0] for block in range(3)]
    assert dilations == [1, 2, 2]
    assert [convolutions[f"{block}.conv2"].padding[0] for block in range(3)] == [1, 2, 2]


def test_taps_have_strides_4_8_and_16() -> None:
    taps = Trunk("resnet18", 0)(torch.rand(2, 3, 32, 48))
    assert [tuple(tap.shape) for tap in taps] == [
        (2, 64, 8, 12),
        (2, 128, 4, 6),
        (2, 512, 2, 3),
    ]


def test_only_stage_4_is_trained_from_construction_on() -> None:
    trunk = Trunk("resnet18", 10)
    assert trained_norms(trunk) == {"layer4"}  # freshly built, no mode set yet
    trained = {name.split(".")[1] for name, p in trunk.named_parameters() if p.requires_grad}
    assert trained == {"layer4"}
    assert trained_norms(trunk.eval()) == set()
    assert trained_norms(trunk.train()) == {"layer4"}


def test_more_stages_can_be_trained_with_the_statistics_they_came_with() -> None:
    trunk = Trunk("resnet18", 0)
    trunk.set_trained(2, batch_statistics=False)
    trained = {name.split(".")[1] for name, p in trunk.named_parameters() if p.requires_grad}
    assert trained == {"layer3", "layer4"}
    assert trained_norms(trunk.train()) == set()


def test_torchvision_weights_load_directly() -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18(num_classes=10).eval()
    trunk = Trunk("resnet18", 10).eval()
    trunk.load(theirs.state_dict())
    image = torch.rand(1, 3, 32, 32)
    stem = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(image))))
    expected = theirs.layer2(theirs.layer1(stem))
    torch.testing.assert_close(trunk(image).stride8, expected)
    assert trunk.classifier is not None
    assert trunk.classifier.weight.equal(theirs.fc.weight)


def test_a_lite_stage_4_keeps_its_values_where_dilation_does_not_matter() -> None:
    torch.manual_seed(0)
    lite = EfficientNetLiteTrunk("efficientnet-lite0", padding="symmetric").eval()
    trunk = Trunk("efficientnet-lite0", 0).eval()
    trunk.load({f"trunk.{name}": tensor for name, tensor in lite.state_dict().items()})
    taps = trunk(torch.rand(1, 3, 32, 48))
    assert [tuple(tap.shape) for tap in taps] == [(1, 24, 8, 12), (1, 40, 4, 6), (1, 320, 2, 3)]
    convolutions = [m for m in trunk.resnet.layer4.modules() if isinstance(m, nn.Conv2d)]
    kernels = [m for m in convolutions if m.groups > 1]
    assert [(m.kernel_size[0], m.dilation[0], m.padding[0]) for m in kernels] == [
        (5, 1, 2),
        (5, 2, 4),
        (5, 2, 4),
        (5, 2, 4),
        (3, 2, 2),
    ]
    assert {m.stride for m in kernels} == {(1, 1)}
    even = torch.full((1, 3, 256, 256), 0.4)  # a flat image has flat features in the middle
    centre = trunk(even).stride16[0, :, 8, 8]
    torch.testing.assert_close(centre, lite(even).layer4[0, :, 4, 4], rtol=1e-4, atol=1e-4)


def test_a_lite_trunk_has_another_normalisation() -> None:
    frame = torch.full((3, 2, 2), 0.75)
    assert normalise(frame, "efficientnet-lite0").eq(0.5).all()
    assert not normalise(frame, "resnet18").eq(0.5).any()


def test_weights_of_another_depth_are_refused() -> None:
    with pytest.raises(WeightsError, match="weights do not match the trunk"):
        Trunk("resnet18", 0).load(torchvision.models.resnet34().state_dict())
