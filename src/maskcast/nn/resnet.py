"""ResNet trunks: torchvision's modules, tapped after each of their four stages.

    images   batch × 3 × height × width                      as the trunk was trained on them
    layerS   batch × channels_S × height/2^(S+1) × width/2^(S+1)   sides rounded up

The first block of layer2..4 halves its input. Torchvision does so in the 3×3 convolution of a
bottleneck; Caffe-style trunks (Mask R-CNN) in the first 1×1 convolution, which fits the same
weights and gives other features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import resnet as torchvision_resnet

Depth: TypeAlias = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
StrideIn: TypeAlias = Literal["3x3", "first-1x1"]

_BLOCKS: Mapping[str, tuple[int, int, int, int]] = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
}


class Taps(NamedTuple):
    """Outputs of the four stages, after their last ReLU; strides 4, 8, 16 and 32."""

    layer1: Float[Tensor, "batch channels1 height4 width4"]
    layer2: Float[Tensor, "batch channels2 height8 width8"]
    layer3: Float[Tensor, "batch channels3 height16 width16"]
    layer4: Float[Tensor, "batch channels4 height32 width32"]


class TapChannels(NamedTuple):
    """Channels of the four taps."""

    layer1: int
    layer2: int
    layer3: int
    layer4: int


def tap_channels(depth: Depth) -> TapChannels:
    """Return how many channels each tap of a trunk has."""
    expansion = 1 if depth in {"resnet18", "resnet34"} else 4
    return TapChannels(64 * expansion, 128 * expansion, 256 * expansion, 512 * expansion)


class ResNetTrunk(nn.Module):
    """A ResNet without its classifier. State-dict names are torchvision's.

    Args:
        depth: which ResNet.
        stride_in: which convolution of a bottleneck halves its input; the shallow ResNets have
            one way only and take no notice.
    """

    def __init__(self, depth: Depth = "resnet50", *, stride_in: StrideIn = "3x3") -> None:
        super().__init__()
        shallow = depth in {"resnet18", "resnet34"}
        block = torchvision_resnet.BasicBlock if shallow else torchvision_resnet.Bottleneck
        whole = torchvision_resnet.ResNet(block, list(_BLOCKS[depth]))
        self.channels = tap_channels(depth)
        self.conv1 = whole.conv1
        self.bn1 = whole.bn1
        self.relu = whole.relu
        self.maxpool = whole.maxpool
        self.layer1 = whole.layer1
        self.layer2 = whole.layer2
        self.layer3 = whole.layer3
        self.layer4 = whole.layer4
        if stride_in == "first-1x1" and not shallow:
            for layer in (self.layer2, self.layer3, self.layer4):
                layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Taps:
        """Return the four taps; any size is legal, sides are halved and rounded up."""
        stem = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        layer1 = self.layer1(stem)
        layer2 = self.layer2(layer1)
        layer3 = self.layer3(layer2)
        return Taps(layer1, layer2, layer3, self.layer4(layer3))


def keep_batch_norm_in_evaluation(module: nn.Module) -> None:
    """Use running statistics in every BatchNorm below ``module``, whatever its training mode."""
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            child.eval()


def fold_batch_norm(module: nn.Module) -> None:
    """Fold every BatchNorm into the convolution before it, in place; for inference only.

    Works on torchvision's residual blocks, stems and ``nn.Sequential``s, where a BatchNorm
    follows its convolution. The function computed stays the same up to rounding.
    """
    for parent in module.modules():
        children = list(parent.named_children())
        for (conv_name, conv), (norm_name, norm) in _conv_norm_pairs(children):
            fused = torch.nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
            setattr(parent, conv_name, fused)
            setattr(parent, norm_name, nn.Identity())


_NamedModule: TypeAlias = tuple[str, nn.Module]


def _conv_norm_pairs(
    children: list[_NamedModule],
) -> Iterator[tuple[tuple[str, nn.Conv2d], tuple[str, nn.BatchNorm2d]]]:
    convolutions = [(name, child) for name, child in children if isinstance(child, nn.Conv2d)]
    norms = [(name, child) for name, child in children if isinstance(child, nn.BatchNorm2d)]
    by_number = {name.removeprefix("bn"): (name, norm) for name, norm in norms}
    for name, conv in convolutions:
        number = name.removeprefix("conv")
        follower = str(int(name) + 1) if name.isdigit() else number
        if follower in by_number:
            yield (name, conv), by_number[follower]
