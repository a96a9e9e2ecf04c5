"""The trunk: what it computes at which stride, and what in it is frozen."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from maskcast.core.errors import WeightsError
from maskcast.methods.agame.trunk import Trunk


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


def test_weights_of_another_depth_are_refused() -> None:
    with pytest.raises(WeightsError, match="weights do not match the trunk"):
        Trunk("resnet18", 0).load(torchvision.models.resnet34().state_dict())
