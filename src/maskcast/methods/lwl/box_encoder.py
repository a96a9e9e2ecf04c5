"""Predict the mask encoding of the first frame from a box.

boxes      images × 4          x, y, width, height in pixels of the input
x          images × C × h × w  target-model features of the same images
encoding   images × D × h × w  replaces the scores T_τ(x) in the decoder
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from maskcast.core.tensors import size_of
from maskcast.methods.lwl.label_encoder import ResidualBlock
from maskcast.methods.lwl.target_model import init_fan_out
from maskcast.nn.resize import resize_bilinear


def box_masks(
    boxes: Float[Tensor, "images 4"], size: tuple[int, int]
) -> Float[Tensor, "images height width"]:
    """Draw boxes as ones on zeros, truncated to whole pixels and clipped to the image.

    A box has at least one pixel per axis, even if truncation or clipping would leave it empty.
    Corner and size are truncated separately, as in the published network, so mirroring a box before
    or after drawing may give results that differ by one pixel.
    """
    height, width = size
    x, y, box_width, box_height = boxes.trunc().unbind(dim=1)
    rows, columns = _inside(y, box_height, height), _inside(x, box_width, width)
    return (rows[:, :, None] & columns[:, None, :]).to(boxes.dtype)


def _inside(start: Tensor, length: Tensor, limit: int) -> Bool[Tensor, "images limit"]:
    """Return which whole pixels of an axis are inside each interval."""
    first = start.clamp(0, limit - 1)
    last = torch.maximum((start + length.clamp(min=1)).clamp(max=limit), first + 1)
    pixels = torch.arange(limit, device=start.device)
    return (pixels >= first[:, None]) & (pixels < last[:, None])


class BoxEncoder(nn.Module):
    """Encodes a box and the features inside it (B_θ, section 3.7 of the paper)."""

    def __init__(self, in_channels: int, filters: int, *, width: int) -> None:
        super().__init__()
        self.block1 = ResidualBlock(in_channels + 1, width, stride=1)
        self.block2 = ResidualBlock(width, width, stride=1)
        self.label = nn.Conv2d(width, filters, 3, padding=1)
        init_fan_out(self)

    def forward(
        self,
        boxes: Float[Tensor, "images 4"],
        x: Float[Tensor, "images C h w"],
        image_size: tuple[int, int],
    ) -> Float[Tensor, "images D h w"]:
        mask = box_masks(boxes, image_size).to(x.dtype).unsqueeze(1)
        mask = resize_bilinear(mask, size_of(x))
        inner = self.block2(self.block1(torch.cat([x, mask], dim=1)))
        return functional.relu(self.label(inner))
