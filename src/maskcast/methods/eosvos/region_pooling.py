"""Pool regions from the pyramid: RoIAlign over four levels, as in torchvision 0.4.

A region is assigned to level ⌊4 + log2(√area / 224 + 1e-6)⌋; the scales of the levels are fixed.
Every cell of a pooled region is the mean of 2×2 points, each interpolated bilinearly from four
cells of the map.

On a CPU, torchvision's kernel is not used. It runs in one thread and needs a different memory
format, and a frame takes 8.4 Y with it instead of 6.8 Y (docs/log/eosvos.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign

from maskcast.methods.eosvos.mask_rcnn import PYRAMID_STRIDES, Features

POINTS = 2
"""Sampling points per side of a pooled cell (sampling_ratio)."""


@dataclass(frozen=True)
class FixedLevels:
    """Assigns a region to a pyramid level, ⌊4 + log2(√area / 224 + 1e-6)⌋, clamped to 2..5."""

    canonical_side: int = 224

    def __call__(self, boxes: Sequence[Tensor]) -> Tensor:
        sides = torch.cat([(box[:, 2:] - box[:, :2]).prod(dim=1) for box in boxes]).sqrt()
        levels = (4 + (sides / self.canonical_side + 1e-6).log2()).floor()
        return levels.clamp(2, 5).to(torch.int64) - 2


class RegionPooling(MultiScaleRoIAlign):  # type: ignore[misc]
    """torchvision's pooling with fixed levels and scales, rather than scales from the first image.

    On a CPU, every cell is computed as a weighted sum of 16 cells of the map, which is equal up to
    rounding. The same is done on a GPU with deterministic algorithms: the backward pass of
    torchvision's kernel adds in no fixed order, and its deterministic alternative needs a compiler.
    """

    def __init__(self, side: int) -> None:
        """Pool every region to side × side cells."""
        levels = [str(level) for level in range(len(PYRAMID_STRIDES))]
        super().__init__(levels, output_size=side, sampling_ratio=POINTS)
        self.side = side
        self.scales = [1 / stride for stride in PYRAMID_STRIDES]
        self.map_levels = FixedLevels()

    def forward(
        self, x: Features, boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Tensor:
        """Return regions × channels × side × side, for boxes by image in pixels of the frame."""
        maps = [x[name] for name in self.featmap_names]
        if not _pools_by_sums(maps[0]):
            pooled_by_rois: Tensor = super().forward(x, boxes, image_shapes)
            return pooled_by_rois
        level = self.map_levels(boxes)
        regions = torch.cat(boxes)
        image = torch.cat(
            [
                torch.full((len(in_image),), n, device=in_image.device)
                for n, in_image in enumerate(boxes)
            ]
        )
        by_level = [(level == number).nonzero()[:, 0] for number in range(len(maps))]
        pooled = [
            pool_from_map(map_, scale * regions[in_image], image[in_image], self.side)
            for map_, scale, in_image in zip(maps, self.scales, by_level, strict=True)
        ]
        return torch.cat(pooled).index_select(0, torch.cat(by_level).argsort())


def _pools_by_sums(map_: Tensor) -> bool:
    """Return whether to pool with ``pool_from_map`` instead of torchvision's kernel."""
    if map_.device.type == "cpu":
        return map_.dtype in (torch.float32, torch.float64)
    return torch.are_deterministic_algorithms_enabled()


def pool_from_map(
    map_: Float[Tensor, "images channels rows columns"],
    regions: Float[Tensor, "regions 4"],
    image: Int64[Tensor, "regions"],
    side: int,
) -> Float[Tensor, "regions channels side side"]:
    """RoIAlign (Mask R-CNN, ICCV 2017) with 2×2 points per cell and unaligned corners.

    Args:
        map_: one level of the pyramid.
        regions: x1, y1, x2, y2 in cells of the map.
        image: index of the image of each region.
        side: cells per side of the result.
    """
    _, channels, rows, columns = map_.shape
    if len(regions) == 0:
        return map_.new_zeros(0, channels, side, side)
    x1, y1, x2, y2 = regions.unbind(dim=1)
    row, row_weight = points_on_axis(y1, y2, rows, side)
    column, column_weight = points_on_axis(x1, x2, columns, side)
    first = (image * rows)[:, None, None, None, None]
    cell = (first + row[:, :, None, :, None]) * columns + column[:, None, :, None, :]
    weight = row_weight[:, :, None, :, None] * column_weight[:, None, :, None, :]
    dtype = torch.promote_types(map_.dtype, torch.float32)
    pooled = F.embedding_bag(
        cell.reshape(-1, (2 * POINTS) ** 2),
        map_.permute(0, 2, 3, 1).reshape(-1, channels).to(dtype),
        mode="sum",
        per_sample_weights=weight.reshape(-1, (2 * POINTS) ** 2).to(dtype),
    )
    return pooled.to(map_.dtype).reshape(-1, side, side, channels).permute(0, 3, 1, 2)


def points_on_axis(
    start: Float[Tensor, "regions"], end: Float[Tensor, "regions"], cells: int, side: int
) -> tuple[Int64[Tensor, "regions {side} 4"], Float[Tensor, "regions {side} 4"]]:
    """Return the cells of a map that each pooled row (or column) is read from, and their weights.

    A region is at least one cell wide. Points more than one cell outside the map are zero.
    """
    step = (end - start).clamp(min=1) / (side * POINTS)
    at = start[:, None] + step[:, None] * (torch.arange(side * POINTS, device=start.device) + 0.5)
    inside = (at >= -1) & (at <= cells)
    low = at.clamp(0, cells - 1).floor()
    part = (at.clamp(min=0) - low).where(low < cells - 1, 0)
    cell = torch.stack([low, (low + 1).clamp(max=cells - 1)], dim=-1).to(torch.int64)
    weight = torch.stack([1 - part, part], dim=-1) * inside[..., None] / POINTS
    return cell.reshape(len(start), side, -1), weight.reshape(len(start), side, -1)
