"""The authors' names for our parameters, both ways."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from maskcast.core.errors import WeightsError
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.presets import boxinit, small, ytvos
from maskcast.methods.lwl.published import (
    from_published,
    published_key,
    read_published,
    to_published,
    write_published,
)


def shapes_only(config: LWLConfig) -> dict[str, Tensor]:
    """The parameters of a full-size network, one number shared by all elements of a tensor."""
    with torch.device("meta"):
        state = LWLNetwork(config.network).state_dict()
    return {
        name: torch.full((), i % 97, dtype=tensor.dtype).expand(tensor.shape)
        for i, (name, tensor) in enumerate(state.items())
    }


def imagenet() -> LWLConfig:
    config = ytvos()
    return replace(config, network=replace(config.network, trunk_layout="imagenet"))


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("trunk.layer2.0.downsample.1.running_var",
         "feature_extractor.layer2.0.downsample.1.running_var"),
        ("features.conv.weight", "target_model.feature_extractor.0.weight"),
        ("learner.kappa", "target_model.filter_optimizer.residual_module.filter_reg"),
        ("decoder.layer3.fusion.reduce.2.bias", "decoder.TSE.layer3.reduce.2.bias"),
        ("decoder.layer1.refine2.inner.3.weight", "decoder.RRB2.layer1.bblock.3.weight"),
        ("decoder.layer4.refine1.conv1x1.bias", "decoder.RRB1.layer4.conv1x1.bias"),
        ("decoder.layer2.attention.gate.0.weight", "decoder.CAB.layer2.convreluconv.0.weight"),
        ("decoder.layer3.project.weight", "decoder.proj.layer3.0.weight"),
        ("decoder.upsampler.conv2.bias", "decoder.project.conv2.bias"),
        ("label_encoder.block1.shortcut.bias", "label_encoder.res1.downsample.bias"),
        ("label_encoder.weight.weight", "label_encoder.samp_w_pred.weight"),
        ("box_encoder.block2.conv1.weight", "box_label_encoder.res.1.conv1.weight"),
        ("box_encoder.label.bias", "box_label_encoder.label_pred.0.bias"),
    ],
)  # fmt: skip
def test_names_of_section_10(name: str, published: str) -> None:
    assert published_key(name) == published


@pytest.mark.parametrize("config", [ytvos(), boxinit(), imagenet()])
def test_there_and_back(config: LWLConfig) -> None:
    tensors = shapes_only(config)
    found_config, found = from_published(to_published(config.network, tensors))
    assert found_config == config
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found[name].flatten()[:1], tensor.flatten()[:1]), name


def test_a_file_comes_back_and_may_hold_half_precision(tmp_path: Path) -> None:
    config = ytvos()
    tensors = {
        name: torch.zeros(()).half().expand(t.shape) if t.is_floating_point() else t
        for name, t in shapes_only(config).items()
    }
    tensors["learner.kappa"] = torch.tensor([0.125]).half()
    path = tmp_path / "lwl_stage2.pth"
    write_published(path, config, tensors)
    _, found = read_published(path)
    assert found["learner.kappa"].dtype == torch.float32
    assert found["learner.kappa"].item() == 0.125


def test_missing_left_over_and_misshapen_tensors_are_named() -> None:
    config = ytvos()
    whole = to_published(config.network, shapes_only(config))
    kappa = "target_model.filter_optimizer.residual_module.filter_reg"
    without = {name: tensor for name, tensor in whole["net"].items() if name != kappa}
    with pytest.raises(WeightsError, match=r"missing: .*filter_reg"):
        from_published({**whole, "net": without})
    with pytest.raises(WeightsError, match=r"1 unknown:\n  - unknown: stray"):
        from_published({**whole, "net": {**whole["net"], "stray": torch.zeros(1)}})
    with pytest.raises(WeightsError, match=r"filter_reg has shape \(2,\), expected \(1,\)"):
        from_published({**whole, "net": {**whole["net"], kappa: torch.zeros(2)}})


@pytest.mark.parametrize("checkpoint", [{}, {"net_type": "DiMPnet"}, {"net_type": "LWTLNet"}])
def test_other_checkpoints_are_refused(checkpoint: dict[str, str]) -> None:
    with pytest.raises(WeightsError):
        from_published(checkpoint)


def test_a_small_network_has_no_published_form() -> None:
    with pytest.raises(WeightsError, match="resnet18"):
        to_published(small().network, {})
