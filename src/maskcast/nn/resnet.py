"""ResNet trunks compatible with torchvision's names and weights, tapped after each of four stages.

    images   batch × 3 × height × width                      normalised as in the trunk's training
    layerS   batch × channels_S × height/2^(S+1) × width/2^(S+1)   sides rounded up

The first block of layer2..4 has a stride of 2. In torchvision, the 3×3 convolution of a bottleneck
has it; in Caffe-style trunks (Mask R-CNN), the first 1×1 convolution. Both fit the same weights but
give different features.

The blocks are implemented here because importing torchvision takes as long as importing torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from maskcast.nn.packing import convolve

Depth: TypeAlias = Literal["resnet18", "resnet34", "resnet50", "resnet101"]
StrideIn: TypeAlias = Literal["3x3", "first-1x1"]

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of RGB in 0..1, with which torchvision's trunks normalise images."""

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
    """Return the number of channels of each tap of a trunk."""
    expansion = 1 if depth in {"resnet18", "resnet34"} else 4
    return TapChannels(64 * expansion, 128 * expansion, 256 * expansion, 512 * expansion)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions with a shortcut (He et al., CVPR 2016, Figure 5, left)."""

    expansion = 1

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(channels_in, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(channels_in, width, stride)

    def forward(
        self, x: Float[Tensor, "batch channels_in height width"]
    ) -> Float[Tensor, "batch channels_out new_height new_width"]:
        """Return the block's output, after its last ReLU."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = convolve(x, self.conv1, self.bn1, activation="relu")
        return convolve(y, self.conv2, self.bn2, activation="relu", added=shortcut)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions with a shortcut (He et al., CVPR 2016, Figure 5, right).

    The 3×3 convolution has the stride, as in torchvision.
    """

    expansion = 4

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        channels_out = width * self.expansion
        self.conv1 = _convolution(channels_in, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _convolution(width, channels_out, 1)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.downsample = _shortcut(channels_in, channels_out, stride)

    def forward(
        self, x: Float[Tensor, "batch channels_in height width"]
    ) -> Float[Tensor, "batch channels_out new_height new_width"]:
        """Return the block's output, after its last ReLU."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = convolve(x, self.conv1, self.bn1, activation="relu")
        y = convolve(y, self.conv2, self.bn2, activation="relu")
        return convolve(y, self.conv3, self.bn3, activation="relu", added=shortcut)


class ResNetTrunk(nn.Module):
    """A ResNet without its classifier, with torchvision's names in the state dict.

    Args:
        depth: name of the ResNet.
        stride_in: convolution of a bottleneck that has the stride; ignored by ResNet-18 and
            ResNet-34, which have no bottlenecks.
    """

    def __init__(self, depth: Depth = "resnet50", *, stride_in: StrideIn = "3x3") -> None:
        super().__init__()
        shallow = depth in {"resnet18", "resnet34"}
        block = BasicBlock if shallow else Bottleneck
        counts = _BLOCKS[depth]
        self.channels = tap_channels(depth)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(block, 64, 64, counts[0], stride=1)
        self.layer2 = _stage(block, self.channels.layer1, 128, counts[1], stride=2)
        self.layer3 = _stage(block, self.channels.layer2, 256, counts[2], stride=2)
        self.layer4 = _stage(block, self.channels.layer3, 512, counts[3], stride=2)
        self._initialise()
        if stride_in == "first-1x1" and not shallow:
            for layer in (self.layer2, self.layer3, self.layer4):
                first: Any = layer[0]
                first.conv1.stride, first.conv2.stride = (2, 2), (1, 1)

    def _initialise(self) -> None:
        """Draw the weights that torchvision's ResNet would draw from the same generator state."""
        nn.Linear(self.channels.layer4, 1000)  # torchvision draws the classifier first
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Taps:
        """Return the four taps; images may have any size, sides are halved and rounded up."""
        stem = self.maxpool(self.relu(convolve(images, self.conv1, self.bn1)))
        layer1 = self.layer1(stem)
        layer2 = self.layer2(layer1)
        layer3 = self.layer3(layer2)
        return Taps(layer1, layer2, layer3, self.layer4(layer3))


def _stage(
    block: type[BasicBlock | Bottleneck], channels_in: int, width: int, count: int, *, stride: int
) -> nn.Sequential:
    channels_out = width * block.expansion
    first = block(channels_in, width, stride)
    return nn.Sequential(first, *(block(channels_out, width, 1) for _ in range(count - 1)))


def _convolution(channels_in: int, channels_out: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, size, stride, padding=size // 2, bias=False)


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Sequential | None:
    """Return the projection to the shape of the block's output; None if the shape is the same."""
    if stride == 1 and channels_in == channels_out:
        return None
    convolution = _convolution(channels_in, channels_out, 1, stride)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out))


def keep_batch_norm_in_evaluation(module: nn.Module) -> None:
    """Use running statistics in every BatchNorm below ``module``, whatever its training mode."""
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            child.eval()


def fold_batch_norm(module: nn.Module) -> None:
    """Fold every BatchNorm into the convolution before it, in place; for inference only.

    It handles torchvision's residual blocks and stems, and ``nn.Sequential``s in which a BatchNorm
    follows its convolution. The output stays the same up to rounding.
    """
    for parent in module.modules():
        children = list(parent.named_children())
        for conv, (norm_name, norm) in _conv_norm_pairs(children):
            _fold(norm, conv)
            setattr(parent, norm_name, nn.Identity())


def _fold(norm: nn.BatchNorm2d, conv: nn.Conv2d) -> None:
    """Give a convolution the weights of itself and of the BatchNorm after it."""
    assert norm.running_mean is not None and norm.running_var is not None  # it tracks statistics
    conv.weight, conv.bias = torch.nn.utils.fusion.fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )


_NamedModule: TypeAlias = tuple[str, nn.Module]


def _conv_norm_pairs(
    children: list[_NamedModule],
) -> Iterator[tuple[nn.Conv2d, tuple[str, nn.BatchNorm2d]]]:
    convolutions = [(name, child) for name, child in children if isinstance(child, nn.Conv2d)]
    norms = [(name, child) for name, child in children if isinstance(child, nn.BatchNorm2d)]
    by_number = {name.removeprefix("bn"): (name, norm) for name, norm in norms}
    for name, conv in convolutions:
        number = name.removeprefix("conv")
        follower = str(int(name) + 1) if name.isdigit() else number
        if follower in by_number:
            yield conv, by_number[follower]
