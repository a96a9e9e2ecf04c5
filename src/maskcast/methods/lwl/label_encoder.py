"""Encode a mask as the label of the few-shot loss and the weights of its elements.

masks    images × height × width     0..1, at the resolution of the network's input
label    images × D × h × w          e = E(y), non-negative
weight   images × D × h × w          w = W(y), of either sign; only its square matters
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from maskcast.methods.lwl.target_model import init_fan_out
from maskcast.nn.packing import convolve

STRIDE = 16


class FewShotLabel(NamedTuple):
    """Target of the few-shot loss and the weight of its residual."""

    label: Float[Tensor, "images D h w"]
    weight: Float[Tensor, "images D h w"]


class ResidualBlock(nn.Module):
    """ReLU(conv(ReLU(conv(x))) + shortcut(x)); the shortcut is a 3×3 convolution with bias."""

    def __init__(self, in_channels: int, channels: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.shortcut = nn.Conv2d(in_channels, channels, 3, stride, padding=1)

    def forward(self, x: Float[Tensor, "images channels h w"]) -> Tensor:
        inner = convolve(x, self.conv1, activation="relu")
        return convolve(inner, self.conv2, activation="relu", added=self.shortcut(x))


class LabelEncoder(nn.Module):
    """E_θ and W_θ of the paper (sections 3.2 and 3.4): one trunk over the mask, two heads.

    Args:
        filters: D, number of channels of the encoding.
        widths: channels of the first convolution and of the two residual blocks.
        learned_weight: whether W is learned; if not, it is 1 everywhere.
    """

    def __init__(
        self, filters: int, widths: tuple[int, int, int], *, learned_weight: bool = True
    ) -> None:
        super().__init__()
        first, second, third = widths
        self.conv = nn.Conv2d(1, first, 3, 2, padding=1)
        self.block1 = ResidualBlock(first, second, stride=2)
        self.block2 = ResidualBlock(second, third, stride=2)
        self.label = nn.Conv2d(third, filters, 3, padding=1)
        self.weight = nn.Conv2d(third, filters, 3, padding=1) if learned_weight else None
        init_fan_out(self)
        for name, parameter in self.named_parameters():  # training starts from uniform weights
            if name.startswith("weight."):
                nn.init.constant_(parameter, 1.0 if name.endswith("bias") else 0.0)

    def forward(self, masks: Float[Tensor, "images height width"]) -> FewShotLabel:
        x = convolve(masks.unsqueeze(1), self.conv, activation="relu")
        x = functional.max_pool2d(x, 3, 2, padding=1)
        x = self.block2(self.block1(x))
        label = convolve(x, self.label, activation="relu")
        weight = torch.ones_like(label) if self.weight is None else self.weight(x)
        return FewShotLabel(label, weight)


class MaskAsLabel(nn.Module):
    """The mask itself as label, in cells of 16×16, with weight 1: Eq. (1), baseline of Table 1."""

    def forward(self, masks: Float[Tensor, "images height width"]) -> FewShotLabel:
        size = -(-masks.shape[-2] // STRIDE), -(-masks.shape[-1] // STRIDE)
        label = functional.adaptive_avg_pool2d(masks.unsqueeze(1), size)
        return FewShotLabel(label, torch.ones_like(label))
