"""EfficientNet-Lite trunks (Apache-2.0 weights by Google), tapped at strides 4, 8, 16 and 32.

    images   batch × 3 × height × width    RGB, mean 0.5 and deviation 0.5
    layerS   batch × channels_S × height/2^(S+1) × width/2^(S+1)   sides rounded up

Compared with EfficientNet (Tan and Le, ICML 2019), Lite uses ReLU6 instead of swish, has no
squeeze-and-excitation, and does not scale the stem. Its blocks end with a linear projection, so
taps have both signs. The 1280-channel head and the classifier are omitted.

Stages of the published weights and the corresponding layers here:

    stem             conv1, bn1                 stride 2
    stages 1, 2      layer1                     stride 4
    stage 3          layer2                     stride 8
    stages 4, 5      layer3                     stride 16
    stages 6, 7      layer4                     stride 32
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from maskcast.nn.packing import convolve
from maskcast.nn.resnet import TapChannels, Taps

LiteName: TypeAlias = Literal["efficientnet-lite0", "efficientnet-lite2"]
PaddingMode: TypeAlias = Literal["same", "symmetric"]

BATCH_NORM_EPSILON = 1e-3
STEM_CHANNELS = 32
EXPANSION = 6


class StageLayout(NamedTuple):
    """Consecutive blocks with the same kernel; only the first may have a stride or add channels."""

    kernel_size: int
    stride: int
    blocks: int
    channels: int


def _stages(blocks: tuple[int, ...], channels: tuple[int, ...]) -> tuple[StageLayout, ...]:
    kernel_sizes, strides = (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1)
    return tuple(map(StageLayout, kernel_sizes, strides, blocks, channels))


STAGES: Mapping[LiteName, tuple[StageLayout, ...]] = {
    "efficientnet-lite0": _stages((1, 2, 2, 3, 3, 4, 1), (16, 24, 40, 80, 112, 192, 320)),
    "efficientnet-lite2": _stages((1, 3, 3, 4, 4, 5, 1), (16, 24, 48, 88, 120, 208, 352)),
}
"""Stages of B0 and of Lite2, which is 1.2 times as deep (except for the first and last stage) and
1.1 times as wide."""


class SpatialConv2d(nn.Conv2d):
    """A convolution whose output sides are input/stride, rounded up, with either padding.

    ``same`` pads like TensorFlow: if the padding is odd, the extra row and column of zeros are at
    the bottom and right. So with a stride of 2, output pixel i is centred on input pixel 2i + 1 if
    the side is even, and on 2i if it is odd. With ``symmetric`` it is always centred on 2i.

    In training under autocast on a CPU, depthwise convolutions compute in float32, because the
    gradients of depthwise 5×5 kernels take two to nine times as long in bfloat16.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: int,
        stride: int,
        *,
        groups: int = 1,
        padding: PaddingMode,
    ) -> None:
        super().__init__(
            in_channels,
            channels,
            kernel_size,
            stride,
            padding=kernel_size // 2 if padding == "symmetric" else 0,
            groups=groups,
            bias=False,
        )
        self.same = padding == "same"

    def forward(self, x: Tensor) -> Tensor:
        if not self._is_faster_in_float32(x):
            return self._convolve(x)
        with torch.autocast("cpu", enabled=False):
            wide = self._convolve(x.to(self.weight.dtype))
        return wide.to(torch.get_autocast_dtype("cpu"))

    def _is_faster_in_float32(self, x: Tensor) -> bool:
        learns = torch.is_grad_enabled() and (self.weight.requires_grad or x.requires_grad)
        narrowed = x.device.type == "cpu" and torch.is_autocast_enabled("cpu")
        return learns and narrowed and self.groups > 1

    def _convolve(self, x: Tensor) -> Tensor:
        if not self.same:
            return super().forward(x)
        (top, below), (left, right) = (
            _same_padding(side, kernel_size, stride)
            for side, kernel_size, stride in zip(
                x.shape[-2:], self.kernel_size, self.stride, strict=True
            )
        )
        if (top, left) != (below, right):
            x = functional.pad(x, (0, right - left, 0, below - top))
        return functional.conv2d(
            x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups
        )


def _same_padding(side: int, kernel_size: int, stride: int) -> tuple[int, int]:
    total = max((-(-side // stride) - 1) * stride + kernel_size - side, 0)
    return total // 2, total - total // 2


class InvertedResidual(nn.Module):
    """1×1 expansion, depthwise convolution and 1×1 projection, with a skip connection if possible.

    Each convolution is followed by BatchNorm, and the first two also by ReLU6. If the expansion is
    1, there are no ``conv1`` and ``bn1``.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        kernel_size: int,
        stride: int,
        expansion: int,
        padding: PaddingMode,
    ) -> None:
        super().__init__()
        inner = in_channels * expansion
        self.expands = expansion != 1
        self.skips = stride == 1 and in_channels == channels
        if self.expands:
            self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
            self.bn1 = _batch_norm(inner)
        self.conv2 = SpatialConv2d(inner, inner, kernel_size, stride, groups=inner, padding=padding)
        self.bn2 = _batch_norm(inner)
        self.conv3 = nn.Conv2d(inner, channels, 1, bias=False)
        self.bn3 = _batch_norm(channels)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Tensor:
        inner = x
        if self.expands:
            inner = convolve(inner, self.conv1, self.bn1, activation="relu6")
        inner = convolve(inner, self.conv2, self.bn2, activation="relu6")
        return convolve(inner, self.conv3, self.bn3, added=x if self.skips else None)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON, momentum=0.01)


class EfficientNetLiteTrunk(nn.Module):
    """An EfficientNet-Lite without head and classifier, with the interface of ``ResNetTrunk``.

    Args:
        name: name of the network.
        padding: ``same``, as published, or ``symmetric``, as in a ResNet. Away from the border both
            compute the same features, shifted by a few pixels. Symmetric padding is faster, and its
            alignment does not depend on whether sides are even or odd: output pixel i of stride S
            is always centred on pixel S·i of the image.
    """

    def __init__(
        self, name: LiteName = "efficientnet-lite0", *, padding: PaddingMode = "same"
    ) -> None:
        super().__init__()
        stages = STAGES[name]
        self.channels = TapChannels(*(stages[last].channels for last in (1, 2, 4, 6)))
        self.conv1 = SpatialConv2d(3, STEM_CHANNELS, 3, 2, padding=padding)
        self.bn1 = _batch_norm(STEM_CHANNELS)
        self.layer1 = _layer(STEM_CHANNELS, stages[:2], padding, expansions=(1, EXPANSION))
        self.layer2 = _layer(stages[1].channels, stages[2:3], padding)
        self.layer3 = _layer(stages[2].channels, stages[3:5], padding)
        self.layer4 = _layer(stages[4].channels, stages[5:], padding)
        _init_fan_out(self)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Taps:
        """Return the four taps; images may have any size, sides are halved and rounded up."""
        stem = convolve(images, self.conv1, self.bn1, activation="relu6")
        layer1 = self.layer1(stem)
        layer2 = self.layer2(layer1)
        layer3 = self.layer3(layer2)
        return Taps(layer1, layer2, layer3, self.layer4(layer3))

    def from_published(self, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Yield published tensors with the names used here, without head and classifier.

        Args:
            tensors: a state dict of the package ``efficientnet_lite_pytorch``.
        """
        layers = {f"layer{level}": getattr(self, f"layer{level}") for level in range(1, 5)}
        blocks = [
            f"{name}.{index}." for name, layer in layers.items() for index in range(len(layer))
        ]
        prefixes = {"_conv_stem.": "conv1.", "_bn0.": "bn1."}
        for number, block in enumerate(blocks):
            for theirs, ours in _PUBLISHED_PARTS.items():
                prefixes[f"_blocks.{number}.{theirs}."] = f"{block}{ours}."
        head = ("_conv_head.", "_bn1.", "_fc.")
        for name, tensor in tensors.items():
            if name.startswith(head):
                continue
            prefix, dot, rest = name.rpartition(".")
            yield prefixes.get(prefix + dot, prefix + dot) + rest, tensor


_PUBLISHED_PARTS = {
    "_expand_conv": "conv1",
    "_bn0": "bn1",
    "_depthwise_conv": "conv2",
    "_bn1": "bn2",
    "_project_conv": "conv3",
    "_bn2": "bn3",
}


def is_published_lite(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether tensors have the names of the package ``efficientnet_lite_pytorch``."""
    return "_conv_stem.weight" in tensors


def _layer(
    in_channels: int,
    stages: tuple[StageLayout, ...],
    padding: PaddingMode,
    *,
    expansions: tuple[int, ...] | None = None,
) -> nn.Sequential:
    blocks = []
    for stage, expansion in zip(stages, expansions or (EXPANSION,) * len(stages), strict=True):
        for index in range(stage.blocks):
            blocks.append(
                InvertedResidual(
                    in_channels,
                    stage.channels,
                    kernel_size=stage.kernel_size,
                    stride=stage.stride if index == 0 else 1,
                    expansion=expansion,
                    padding=padding,
                )
            )
            in_channels = stage.channels
    return nn.Sequential(*blocks)


def _init_fan_out(module: nn.Module) -> None:
    """Draw every convolution weight from N(0, 2 / fan-out), as in the published training."""
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d):
            fan_out = conv.weight[0, 0].numel() * conv.out_channels // conv.groups
            nn.init.normal_(conv.weight, std=sqrt(2 / fan_out))
