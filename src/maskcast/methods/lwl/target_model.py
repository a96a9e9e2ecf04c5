"""The target model T_τ, one convolution per object, and its input features.

layer3     images × channels3 × h × w      output of the trunk's layer3, stride 16
x          images × C × h × w              target-model features
tau        sequences × D × C × K × K       one set of filters per sequence
scores     frames × sequences × D × h × w  T_τ(x), the predicted mask encoding
"""

from __future__ import annotations

from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-5


def init_fan_out(module: nn.Module) -> None:
    """Draw every convolution weight from N(0, 2 / (k²·out)) (He, fan-out); biases are unchanged."""
    for conv in module.modules():
        if isinstance(conv, nn.Conv2d):
            fan_out = conv.kernel_size[0] * conv.kernel_size[1] * conv.out_channels
            nn.init.normal_(conv.weight, std=sqrt(2 / fan_out))


def normalise_features(
    x: Float[Tensor, "images C h w"], *, kernel_size: int
) -> Float[Tensor, "images C h w"]:
    """Scale every image so that the root mean square over channels and pixels is 1/√(C·K²).

    The input patch of a filter then has a norm of about 1 for every image.
    """
    elements = x.shape[1] * x.shape[2] * x.shape[3]
    rho = 1 / sqrt(x.shape[1] * kernel_size**2)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))  # 256² overflows float16
    energy = wide.square().sum(dim=(1, 2, 3), keepdim=True)
    return (wide * (rho * torch.sqrt(elements / (energy + EPS)))).to(x.dtype)


class TargetFeatures(nn.Module):
    """Makes x by a 3×3 convolution of layer3, normalised (F_θ, section 3.4 of the paper)."""

    def __init__(self, in_channels: int, channels: int, *, kernel_size: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        init_fan_out(self)

    def forward(
        self, layer3: Float[Tensor, "images channels h w"]
    ) -> Float[Tensor, "images C h w"]:
        return normalise_features(self.conv(layer3), kernel_size=self.kernel_size)


def apply_target_model(
    tau: Float[Tensor, "sequences D C K K"],
    x: Float[Tensor, "frames sequences C h w"],
) -> Float[Tensor, "frames sequences D h w"]:
    """Correlate each sequence with its own filters: T_τ(x) = x * τ (section 3.3 of the paper).

    Zero padding gives the scores the size of the features.
    """
    frames, sequences, _, height, width = x.shape
    grouped = functional.conv2d(
        x.reshape(frames, -1, height, width),
        tau.flatten(0, 1).to(x.dtype),
        padding=tau.shape[-1] // 2,
        groups=sequences,
    )
    return grouped.view(frames, sequences, tau.shape[1], height, width)
