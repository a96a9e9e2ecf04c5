"""Convert frames and masks to the network's input, and its output back.

frame    3 × height × width, RGB 0..1      image    1 × 3 × padded height × padded width
mask     objects × height × width          grid     objects × 2 × height/16 × width/16
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from maskcast.methods.agame.config import TrunkChoice
from maskcast.nn.trunks import normalisation

STRIDE = 16


def normalise(
    frames: Float[Tensor, "*batch 3 height width"], trunk: TrunkChoice = "resnet101"
) -> Float[Tensor, "*batch 3 height width"]:
    """Subtract the mean colour of a trunk's input and divide by its standard deviation."""
    mean, deviation = normalisation(trunk, caffe=False)
    centred = frames - frames.new_tensor(mean)[:, None, None]
    return centred / frames.new_tensor(deviation)[:, None, None]


@dataclass(frozen=True)
class Padding:
    """Padding by reflection to multiples of 16; an odd pixel goes left and top (map: padding)."""

    height: int
    """Height of the frame in pixels."""
    width: int
    """Width of the frame in pixels."""

    def pad(self, maps: Tensor) -> Tensor:
        """Pad the last two axes by reflection; the edge itself is not repeated."""
        rows = _reflected(self.height, maps.device)
        columns = _reflected(self.width, maps.device)
        return maps.index_select(-2, rows).index_select(-1, columns)

    def crop(self, maps: Tensor) -> Tensor:
        """Undo ``pad``."""
        top, left = _before(self.height), _before(self.width)
        return maps[..., top : top + self.height, left : left + self.width]


def working_size(size: tuple[int, int], shorter_side: int | None) -> tuple[int, int]:
    """Return the (height, width) to which a frame is reduced for the network."""
    scale = 1.0 if shorter_side is None else min(1.0, shorter_side / min(size))
    return max(1, round(scale * size[0])), max(1, round(scale * size[1]))


def shrink_frame(
    frame: Float[Tensor, "3 height width"], size: tuple[int, int]
) -> Float[Tensor, "3 new_height new_width"]:
    """Reduce a frame, with antialiasing."""
    return functional.interpolate(
        frame[None], size=size, mode="bilinear", antialias=True, align_corners=False
    )[0]


def shrink_mask(
    mask: Bool[Tensor, "height width"], size: tuple[int, int]
) -> Bool[Tensor, "new_height new_width"]:
    """Reduce a mask to the pixels that it mostly covers, or else to those that it touches."""
    share = functional.interpolate(mask[None, None].float(), size=size, mode="area")[0, 0]
    small = share > 0.5
    return small if small.any() else share > 0


def to_grid(
    masks: Float[Tensor, "objects 2 height width"],
) -> Float[Tensor, "objects 2 rows columns"]:
    """Return ỹ, the 16×16 means of two-channel masks (map: grid)."""
    return functional.avg_pool2d(masks, STRIDE)


def indicator(
    masks: Bool[Tensor, "objects height width"],
) -> Float[Tensor, "objects 2 height width"]:
    """Return hard masks as two channels, background and target."""
    return torch.stack([~masks, masks], dim=1).float()


def two_channels(
    foreground: Float[Tensor, "objects height width"],
) -> Float[Tensor, "objects 2 height width"]:
    """Return soft masks as two channels, background and target."""
    return torch.stack([1 - foreground, foreground], dim=1)


def _before(size: int) -> int:
    """Return the number of padding pixels before the first one: half of them, rounded up."""
    return (-size % STRIDE + 1) // 2


def _reflected(size: int, device: torch.device) -> Int64[Tensor, " padded"]:
    """Return the source position of every padded position; the side may be as short as 1."""
    period = max(2 * (size - 1), 1)
    first = -_before(size)
    positions = torch.arange(first, first + size + -size % STRIDE, device=device) % period
    return torch.minimum(positions, period - positions)
