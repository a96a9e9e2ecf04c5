"""The trunks: taps, the two places of the stride, weights of strangers, folded BatchNorms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import resnet18

from maskcast.core.errors import WeightsError
from maskcast.nn.resnet import (
    ResNetTrunk,
    fold_batch_norm,
    keep_batch_norm_in_evaluation,
    tap_channels,
)
from maskcast.nn.trunks import load_trunk


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(1, 3, 35, 50, generator=torch.Generator().manual_seed(0))


def test_taps_of_a_shallow_trunk_are_torchvisions(images: Tensor) -> None:
    torch.manual_seed(0)
    whole = resnet18(num_classes=5).eval()
    trunk = ResNetTrunk("resnet18").eval()
    load_trunk(trunk, whole.state_dict())
    x = whole.maxpool(whole.relu(whole.bn1(whole.conv1(images))))
    for layer, tap in zip(("layer1", "layer2", "layer3", "layer4"), trunk(images), strict=True):
        x = getattr(whole, layer)(x)
        torch.testing.assert_close(tap, x, rtol=0, atol=0)


@pytest.mark.parametrize("depth", ["resnet18", "resnet50"])
def test_the_same_seed_gives_the_weights_of_torchvision(depth, images: Tensor) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        theirs = getattr(models, depth)()
        state = torch.get_rng_state()
        torch.manual_seed(3)
        trunk = ResNetTrunk(depth)
        assert torch.equal(torch.get_rng_state(), state)  # what is drawn afterwards is the same too
    expected = {n: t for n, t in theirs.state_dict().items() if not n.startswith("fc.")}
    assert list(trunk.state_dict()) == list(expected)
    assert all(torch.equal(t, expected[n]) for n, t in trunk.state_dict().items())
    theirs.eval(), trunk.eval()
    x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(images))))
    x = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(x))))
    torch.testing.assert_close(trunk(images).layer4, x, rtol=0, atol=0)


def test_sides_are_halved_and_rounded_up(images: Tensor) -> None:
    taps = ResNetTrunk("resnet18").eval()(images)
    assert [tuple(tap.shape[1:]) for tap in taps] == [
        (64, 9, 13),
        (128, 5, 7),
        (256, 3, 4),
        (512, 2, 2),
    ]
    assert tuple(tap_channels("resnet50")) == (256, 512, 1024, 2048)


def test_the_two_layouts_hold_the_same_names_and_stride_in_different_convolutions() -> None:
    with torch.device("meta"):
        torchvision, caffe = ResNetTrunk(), ResNetTrunk(stride_in="first-1x1")
    shapes = [{n: t.shape for n, t in net.state_dict().items()} for net in (torchvision, caffe)]
    assert shapes[0] == shapes[1]
    for layer in ("layer2", "layer3", "layer4"):
        first = getattr(torchvision, layer)[0]
        assert (first.conv1.stride, first.conv2.stride) == ((1, 1), (2, 2))
        first = getattr(caffe, layer)[0]
        assert (first.conv1.stride, first.conv2.stride) == ((2, 2), (1, 1))
    assert sum(p.numel() for p in caffe.parameters()) == 23_508_032


def mask_rcnn_file(trunk: ResNetTrunk) -> dict[str, Tensor]:
    """The trunk's tensors as maskrcnn-benchmark names them, among others."""
    tensors = {}
    for name, tensor in trunk.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        stem = "stem." if name.startswith(("conv1", "bn1")) else ""
        tensors[f"module.backbone.body.{stem}{name}"] = tensor.clone()
    return tensors | {"module.backbone.fpn.fpn_inner1.weight": torch.zeros(1)}


def test_mask_rcnn_files_are_read_and_the_rest_of_them_left_out(images: Tensor) -> None:
    torch.manual_seed(1)
    source, target = ResNetTrunk("resnet18").eval(), ResNetTrunk("resnet18").eval()
    load_trunk(target, mask_rcnn_file(source))
    torch.testing.assert_close(target(images).layer4, source(images).layer4, rtol=0, atol=0)


@pytest.mark.parametrize("fault", ["missing", "shape", "left over"])
def test_files_that_do_not_fit_are_refused(fault: str) -> None:
    trunk = ResNetTrunk("resnet18")
    tensors = mask_rcnn_file(trunk)
    name = "module.backbone.body.layer2.0.conv1.weight"
    if fault == "missing":
        del tensors[name]
    elif fault == "shape":
        tensors[name] = tensors[name][:, :1]
    else:
        tensors[f"{name}.more"] = torch.zeros(1)
    with pytest.raises(WeightsError, match=r"layer2\.0\.conv1"):
        load_trunk(trunk, tensors)


def test_half_precision_is_widened() -> None:
    trunk = ResNetTrunk("resnet18")
    load_trunk(trunk, {name: t.half() for name, t in resnet18().state_dict().items()})
    assert {p.dtype for p in trunk.parameters()} == {torch.float32}


def test_folding_keeps_the_function_and_leaves_no_batch_norm(images: Tensor) -> None:
    torch.manual_seed(2)
    trunk = ResNetTrunk("resnet18").double()
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.weight, 1.0, 0.3)
    trunk.eval()
    before = trunk(images.double())
    fold_batch_norm(trunk)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in trunk.modules())
    for found, expected in zip(trunk(images.double()), before, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_folding_finds_the_batch_norm_of_a_sequence() -> None:
    sequence = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 1, 1))
    sequence.eval()
    x = torch.ones(1, 2, 2, 2)
    before = sequence(x)
    fold_batch_norm(sequence)
    assert isinstance(sequence[1], nn.Identity)
    torch.testing.assert_close(sequence(x), before)


def test_batch_norm_stays_in_evaluation() -> None:
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), nn.Dropout()).train()
    keep_batch_norm_in_evaluation(net)
    assert [module.training for module in net] == [True, False, True]
