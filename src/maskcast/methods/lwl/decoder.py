"""The segmentation decoder D_θ: from a coarse mask encoding to logits at full resolution.

    scores   images × D × h × w          mask encoding at stride 16
    taps     outputs of layer1..layer4   strides 4, 8, 16, 32
    logits   images × height × width

Levels are processed from deep to shallow. Each one fuses its tap with the encoding, refines the
result, and merges the deeper level into it by channel attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from maskcast.core.tensors import size_of
from maskcast.nn.packing import convolve
from maskcast.nn.resize import resize_bicubic, resize_bilinear
from maskcast.nn.resnet import Taps

Upsampling: TypeAlias = Literal["bicubic", "bilinear"]


def _conv(in_channels: int, channels: int, kernel_size: int, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(in_channels, channels, kernel_size, padding=kernel_size // 2, bias=bias)


def _pool(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3), keepdim=True)


class EncodingFusion(nn.Module):
    """Fuses a tap of the trunk with the mask encoding ("TSE" in the published weights)."""

    def __init__(self, tap_channels: int, filters: int, width: int) -> None:
        super().__init__()
        joined = width + filters
        self.reduce = nn.Sequential(
            _conv(tap_channels, width, 1), nn.ReLU(inplace=True), _conv(width, width, 1)
        )
        convolutions = (_conv(joined, channels, 3) for channels in (joined, joined, width))
        self.transform = nn.Sequential(
            *(layer for conv in convolutions for layer in (conv, nn.ReLU(inplace=True)))
        )

    def forward(self, tap: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return the fused map and the reduced tap; one image may go with several encodings."""
        reduced = self.reduce(tap).expand(len(scores), -1, -1, -1)
        scores = resize_bilinear(scores, size_of(tap)).to(reduced.dtype)
        return self.transform(torch.cat([reduced, scores], dim=1)), reduced


class RefinementBlock(nn.Module):
    """ReLU(a + b) with a = conv1×1(x) and b = conv(ReLU(BatchNorm(conv(a)))) ("RRB")."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1x1 = _conv(width, width, 1)
        self.inner = nn.Sequential(
            _conv(width, width, 3),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            _conv(width, width, 3, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        a = self.conv1x1(x)
        b, last = self.inner[:-1](a), self.inner[-1]
        return convolve(b, last, activation="relu", added=a)


class ChannelAttention(nn.Module):
    """Weights the channels of the shallower map by the mean of both levels' channels ("CAB")."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            _conv(2 * width, width, 1), nn.ReLU(inplace=True), _conv(width, width, 1)
        )

    def forward(self, deeper: Tensor, shallower: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(torch.cat([_pool(shallower), _pool(deeper)], dim=1)))
        if deeper.shape[-2:] != (1, 1):  # a single value per channel is broadcast
            deeper = resize_bilinear(deeper, size_of(shallower))
        return shallower * gate + deeper


class Level(nn.Module):
    """One level: fusion, refinement, attention, refinement; the deepest has no deeper input."""

    def __init__(
        self, tap_channels: int, filters: int, width: int, *, deeper_width: int | None
    ) -> None:
        super().__init__()
        self.fusion = EncodingFusion(tap_channels, filters, width)
        self.refine1 = RefinementBlock(width)
        self.attention = ChannelAttention(width)
        self.refine2 = RefinementBlock(width)
        self.project = None if deeper_width is None else _conv(deeper_width, width, 1)

    def forward(self, tap: Tensor, scores: Tensor, deeper: Tensor | None) -> Tensor:
        joined, reduced = self.fusion(tap, scores)
        if self.project is None or deeper is None:
            carried = _pool(reduced)
        else:
            carried = convolve(deeper, self.project, activation="relu")
        state: Tensor = self.refine2(self.attention(carried, self.refine1(joined)))
        return state


class Upsampler(nn.Module):
    """Upsamples from stride 4 to logits of a given size, in two steps."""

    def __init__(self, in_channels: int, width: int, upsampling: Upsampling) -> None:
        super().__init__()
        self.resize = resize_bicubic if upsampling == "bicubic" else resize_bilinear
        self.conv1 = _conv(in_channels, width, 3)
        self.conv2 = _conv(width, 1, 3)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        doubled = self.resize(x, (2 * x.shape[-2], 2 * x.shape[-1]))
        x = self.resize(functional.relu(self.conv1(doubled)), size)
        logits: Tensor = self.conv2(x)[:, 0]
        return logits


class TapwiseUpsampler(nn.Module):
    """An ``Upsampler`` for inference: the same function up to rounding, at half the cost.

    Resizing and the last convolution are both linear, so the convolution is applied first, one
    kernel tap at a time. Only nine maps have to be resized then, rather than all channels.
    """

    def __init__(self, upsampler: Upsampler) -> None:
        super().__init__()
        self.resize = upsampler.resize
        self.conv1 = upsampler.conv1
        width = upsampler.conv2.in_channels
        self.taps = nn.Conv2d(width, 9, 1, bias=False)
        self.taps.weight = nn.Parameter(
            upsampler.conv2.weight.detach()[0].permute(1, 2, 0).reshape(9, width, 1, 1).clone()
        )
        self.bias = upsampler.conv2.bias

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        x = self.resize(x, (2 * x.shape[-2], 2 * x.shape[-1]))
        maps = self.taps(convolve(x, self.conv1, activation="relu")).contiguous()
        resized = self.resize(maps, size)
        precision = torch.promote_types(maps.dtype, torch.float32)
        assert self.bias is not None
        logits = self.bias.to(precision).expand(len(x), *size).clone()
        for tap in range(9):
            row, column = divmod(tap, 3)
            rows, its_rows = _overlap(row - 1, size[0])
            columns, its_columns = _overlap(column - 1, size[1])
            logits[:, rows, columns] += resized[:, tap, its_rows, its_columns]
        return logits


def _overlap(shift: int, length: int) -> tuple[slice, slice]:
    """Return where an axis and the same axis, moved back by ``shift``, overlap."""
    first, last = max(0, -shift), length - max(0, shift)
    return slice(first, last), slice(first + shift, last + shift)


class Decoded(NamedTuple):
    """The logits, and the state after each level, layer4 first."""

    logits: Float[Tensor, "objects height width"]
    states: list[Tensor]


class Decoder(nn.Module):
    """D_θ of the paper (section 3.4); one image may go with the encodings of several objects.

    Args:
        tap_channels, widths: channels of the taps and of the decoder at layer1..layer4.
        filters: D, number of channels of the mask encoding.
        upsampler_width: channels between half and full resolution.
        upsampling: interpolation of the upsampler.
    """

    def __init__(
        self,
        tap_channels: Sequence[int],
        filters: int,
        widths: Sequence[int],
        upsampler_width: int,
        upsampling: Upsampling = "bicubic",
    ) -> None:
        super().__init__()
        levels = zip(tap_channels, widths, (*widths[1:], None), strict=True)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            Level(channels, filters, width, deeper_width=deeper)
            for channels, width, deeper in levels
        )
        self.upsampler: Upsampler | TapwiseUpsampler = Upsampler(
            widths[0], upsampler_width, upsampling
        )

    def speed_up_inference(self) -> None:
        """Switch to an equivalent, faster upsampler; for inference only."""
        if isinstance(self.upsampler, Upsampler):
            self.upsampler = TapwiseUpsampler(self.upsampler)

    def forward(
        self, scores: Float[Tensor, "objects D h w"], taps: Taps, size: tuple[int, int]
    ) -> Float[Tensor, "objects height width"]:
        """Return the logits of ``decode``."""
        return self.decode(scores, taps, size).logits

    def decode(
        self, scores: Float[Tensor, "objects D h w"], taps: Taps, size: tuple[int, int]
    ) -> Decoded:
        """Return logits of ``size``, which need not be a multiple of the stride, and states."""
        z4 = self.layer4(taps.layer4, scores, None)
        z3 = self.layer3(taps.layer3, scores, z4)
        z2 = self.layer2(taps.layer2, scores, z3)
        z1 = self.layer1(taps.layer1, scores, z2)
        return Decoded(self.upsampler(z1, size), [z4, z3, z2, z1])
