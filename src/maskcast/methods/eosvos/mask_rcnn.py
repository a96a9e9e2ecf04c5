"""Mask R-CNN as in torchvision 0.4 (2019), built from current torchvision modules.

The learning rates were learned for the losses of that version. This module contains the differences
from current torchvision, one class for each:

    RealStrideAnchors    strides are real numbers (differs on the coarsest level only)
    ProposalNetwork      L1 box loss; suppression ordered by logits, which do not saturate
    RegionHeads          smooth L1 box loss with beta 1; mask loss per region
    FixedScaleTransform  one training scale, without a random draw

``published_key`` removes the indices that current torchvision adds to parameter names, so that the
public interface and all files use the published names. ``region_pooling`` pools regions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, Integer
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import batched_nms, clip_boxes_to_image
from torchvision.ops import remove_small_boxes as large_boxes

from maskcast.core.errors import FrameError
from maskcast.methods.eosvos.targets import Target

Features: TypeAlias = Mapping[str, Tensor]
"""Pyramid maps by level name: 0, 1, 2, 3 (strides 4 to 32) and pool (64)."""
PYRAMID_STRIDES = (4, 8, 16, 32)

Value = TypeVar("Value")

_RULES = (
    (r"^backbone\.fpn\.(inner|layer)_blocks\.(\d+)\.0\.", r"backbone.fpn.\1_blocks.\2."),
    (r"^rpn\.head\.conv\.0\.0\.", r"rpn.head.conv."),
)
_MASK_LAYER = re.compile(r"^roi_heads\.mask_head\.(\d+)\.0\.")


def published_key(name: str) -> str:
    """Return the published name of a torchvision parameter; published names are unchanged."""
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return _MASK_LAYER.sub(lambda m: f"roi_heads.mask_head.mask_fcn{int(m[1]) + 1}.", name)


def with_published_keys(values: Mapping[str, Value]) -> dict[str, Value]:
    """Rename every key."""
    return {published_key(name): value for name, value in values.items()}


class FixedScaleTransform(GeneralizedRCNNTransform):  # type: ignore[misc]
    """Normalise, resize and pad frames, in the same way in training and at test time."""

    def torch_choice(self, k: Sequence[int]) -> int:
        return k[-1]

    def resize(
        self, image: Tensor, target: dict[str, Tensor] | None = None
    ) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Resize a frame and its target; raise ``FrameError`` if the frame is too narrow."""
        height, width = image.shape[-2:]
        short, long = min(height, width), max(height, width)
        if short * min(self.min_size[-1] / short, self.max_size / long) < 1:
            raise FrameError(
                f"the frame is {height}×{width}, which is too narrow: scaled to {self.max_size} "
                "pixels on its long side, less than one pixel is left on the other; crop the video"
            )
        resized: tuple[Tensor, dict[str, Tensor] | None] = super().resize(image, target)
        return resized


class RealStrideAnchors(AnchorGenerator):  # type: ignore[misc]
    """Anchors whose distance is padded side / cells as a real number; the last ones are cached."""

    def __init__(self, sizes: tuple[tuple[int, ...], ...], ratios: tuple[tuple[float, ...], ...]):
        super().__init__(sizes, ratios)
        self._kept: tuple[object, Tensor] | None = None

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """Return the anchors of every image, ordered by level, row, column and ratio."""
        cells = [tuple(map_.shape[-2:]) for map_ in feature_maps]
        height, width = image_list.tensors.shape[-2:]
        like = feature_maps[0]
        key = (height, width, tuple(cells), like.dtype, like.device)
        if self._kept is None or self._kept[0] != key:
            self.set_cell_anchors(like.dtype, like.device)
            strides = [
                [like.new_tensor(height / rows), like.new_tensor(width / columns)]
                for rows, columns in cells
            ]
            self._kept = key, torch.cat(self.grid_anchors(cells, strides))
        return [self._kept[1]] * len(image_list.image_sizes)


@dataclass(frozen=True)
class Outlook:
    """The anchors and proposals of a batch, without gradient."""

    anchors: list[Tensor]
    """Anchors by image, in pixels of the resized frame, ordered by level, row, column, ratio."""
    proposals: list[Tensor]
    """Proposals by image, best first."""


@dataclass(frozen=True)
class AnchorSample:
    """Anchors sampled for the losses of one frame."""

    positive: Tensor
    """Indices of the positive anchors."""
    negative: Tensor
    """Indices of the negative anchors."""
    deltas: Tensor
    """Regression targets of the positive anchors."""


class ProposalNetwork(RegionProposalNetwork):  # type: ignore[misc]
    """Region proposals with the losses and the ordering of 2019."""

    legacy_losses: bool = True

    @torch.no_grad()
    def propose(self, images: ImageList, features: Features) -> Outlook:
        """Score all anchors, and keep the best boxes of every image as proposals."""
        maps = list(features.values())
        logits, deltas = self.head(maps)
        anchors = self.anchor_generator(images, maps)
        per_level = [level[0].numel() for level in logits]
        objectness, deltas = concat_box_prediction_layers(logits, deltas)
        objectness = objectness.reshape(len(anchors), -1)
        deltas = deltas.reshape(len(anchors), -1, 4)
        proposals = self._proposals(objectness, deltas, anchors, images.image_sizes, per_level)
        return Outlook(anchors, proposals)

    def _proposals(
        self,
        objectness: Tensor,
        deltas: Tensor,
        anchors: list[Tensor],
        sizes: list[tuple[int, int]],
        per_level: list[int],
    ) -> list[Tensor]:
        """Decode and clip the best boxes of each level, suppress per level; return best first."""
        best = self._get_top_n_idx(objectness, per_level)
        ends = torch.tensor(per_level, device=best.device).cumsum(0)
        levels = torch.bucketize(best, ends, right=True)
        proposals = []
        for image, size in enumerate(sizes):
            chosen = best[image]
            boxes = self.box_coder.decode(deltas[image, chosen], [anchors[image][chosen]])[:, 0]
            boxes = clip_boxes_to_image(boxes, size)
            large = large_boxes(boxes, self.min_size)
            boxes, logits = boxes[large], objectness[image, chosen][large]
            kept = batched_nms(boxes, logits, levels[image][large], self.nms_thresh)
            proposals.append(boxes[kept[: self.post_nms_top_n()]])
        return proposals

    def sample(self, anchors: list[Tensor], targets: Sequence[Target]) -> list[AnchorSample]:
        """Sample anchors for the losses, from torch's global generator."""
        labels, matched = self.assign_targets_to_anchors(anchors, list(targets))
        positive, negative = self.fg_bg_sampler(labels)
        samples = []
        for of_image, boxes, is_positive, is_negative in zip(
            anchors, matched, positive, negative, strict=True
        ):
            index = is_positive.nonzero()[:, 0]
            deltas = self.box_coder.encode_single(boxes[index], of_image[index])
            samples.append(AnchorSample(index, is_negative.nonzero()[:, 0], deltas))
        return samples

    def losses(
        self, features: Features, samples: Sequence[AnchorSample], count: int
    ) -> dict[str, Tensor]:
        """Return objectness and box loss of some frames, divided by ``count`` sampled anchors.

        The head is run again at the sampled anchors only, because its gradient is zero elsewhere
        and a backward pass through whole maps takes twice as long.
        """
        logits, labels, deltas, wanted = [], [], [], []
        for image, sample in enumerate(samples):
            index = torch.cat([sample.positive, sample.negative])
            positives = len(sample.positive)
            sampled_logits, deltas_of_class = self.at_anchors(
                [m[image] for m in features.values()], index
            )
            logits.append(sampled_logits)
            labels.append(torch.arange(len(index), device=index.device) < positives)
            deltas.append(deltas_of_class[:positives])
            wanted.append(sample.deltas)
        objectness = F.binary_cross_entropy_with_logits(
            torch.cat(logits), torch.cat(labels).to(logits[0]), reduction="sum"
        )
        distance = F.l1_loss if self.legacy_losses else _smooth_l1_ninth
        boxes = distance(torch.cat(deltas), torch.cat(wanted), reduction="sum")
        return {"loss_objectness": objectness / count, "loss_rpn_box_reg": boxes / count}

    def at_anchors(
        self, maps: Sequence[Tensor], index: Int64[Tensor, "anchors"]
    ) -> tuple[Float[Tensor, "anchors"], Float[Tensor, "anchors 4"]]:
        """Run the head at some anchors of one image; return their logits and deltas.

        The indices are those of ``Outlook.anchors``; they may repeat.
        """
        ratios = self.anchor_generator.num_anchors_per_location()[0]
        cells = [map_.shape[-2] * map_.shape[-1] for map_ in maps]
        ends = ratios * torch.tensor(cells, device=index.device).cumsum(0)
        level = torch.bucketize(index, ends, right=True)
        cell = (index - (ends[level] - ratios * ends.new_tensor(cells)[level])) // ratios
        by_level = [(level == number).nonzero()[:, 0] for number in range(len(maps))]
        around = torch.cat(
            [
                neighbourhoods(map_, cell[index_in_level])
                for map_, index_in_level in zip(maps, by_level, strict=True)
            ]
        )
        order = torch.cat(by_level)
        head = self.head
        conv = head.conv[0][0]
        weight = conv.weight.permute(0, 2, 3, 1).flatten(start_dim=1)
        hidden = F.relu(F.linear(around, weight, conv.bias))[order.argsort()]
        logits = F.linear(hidden, head.cls_logits.weight.flatten(1), head.cls_logits.bias)
        deltas = F.linear(hidden, head.bbox_pred.weight.flatten(1), head.bbox_pred.bias)
        position = torch.arange(len(index), device=index.device), index % ratios
        return logits[position], deltas.reshape(len(index), ratios, 4)[position]


def neighbourhoods(
    map_: Float[Tensor, "channels rows columns"], cells: Int64[Tensor, "cells"]
) -> Float[Tensor, "cells 9*channels"]:
    """Return the 3×3 neighbourhood of each cell, in row-major order with channels last.

    A cell index is row · columns + column. Cells outside the map are zero.
    """
    channels, rows, columns = map_.shape
    step = torch.arange(-1, 2, device=cells.device)
    row = (cells // columns)[:, None, None] + step[:, None]
    column = (cells % columns)[:, None, None] + step
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    cell = row.clamp(0, rows - 1) * columns + column.clamp(0, columns - 1)
    by_cell = map_.permute(1, 2, 0).reshape(-1, channels)
    around = by_cell.index_select(0, cell.flatten()) * inside.flatten()[:, None]
    return around.reshape(len(cells), 9 * channels)


def _smooth_l1_ninth(predicted: Tensor, wanted: Tensor, *, reduction: str) -> Tensor:
    return F.smooth_l1_loss(predicted, wanted, beta=1 / 9, reduction=reduction)


@dataclass(frozen=True)
class RegionSample:
    """Regions sampled for the losses of one frame."""

    boxes: Tensor
    labels: Tensor
    """1 object, 0 background."""
    matched: Tensor
    """Index of the ground-truth object of each region."""
    deltas: Tensor
    """Regression targets."""


Sample = TypeVar("Sample", AnchorSample, RegionSample)


def joined(samples: Sequence[Sample]) -> Sample:
    """Concatenate several samples from one frame."""
    fields = zip(*(vars(sample).values() for sample in samples), strict=True)
    return type(samples[0])(*(torch.cat(field) for field in fields))


class RegionHeads(RoIHeads):  # type: ignore[misc]
    """Box and mask heads with the losses of 2019."""

    legacy_losses: bool = True
    mask_loss: Callable[[Tensor, Tensor], Tensor]

    def sample(self, proposals: list[Tensor], targets: Sequence[Target]) -> list[RegionSample]:
        """Sample regions for the losses, from torch's global generator."""
        boxes, matched, labels, deltas = self.select_training_samples(
            list(proposals), list(targets)
        )
        return [RegionSample(*s) for s in zip(boxes, labels, matched, deltas, strict=True)]

    def losses(
        self,
        features: Features,
        samples: Sequence[RegionSample],
        image_shapes: list[tuple[int, int]],
        targets: Sequence[Target],
        *,
        regions: int,
        positives: int,
    ) -> dict[str, Tensor]:
        """Return class, box and mask loss of some frames.

        Class and box loss are divided by ``regions``, the mask loss by ``positives``.
        """
        boxes = [sample.boxes for sample in samples]
        labels = torch.cat([sample.labels for sample in samples])
        pooled = self.box_head(self.box_roi_pool(features, boxes, image_shapes))
        class_logits, deltas = self.box_predictor(pooled)
        positive = (labels > 0).nonzero()[:, 0]
        deltas_of_class = deltas.reshape(len(labels), -1, 4)[positive, labels[positive]]
        wanted = torch.cat([sample.deltas for sample in samples])[positive]
        beta = 1.0 if self.legacy_losses else 1 / 9
        return {
            "loss_classifier": F.cross_entropy(class_logits, labels, reduction="sum") / regions,
            "loss_box_reg": F.smooth_l1_loss(deltas_of_class, wanted, beta=beta, reduction="sum")
            / regions,
            "loss_mask": self._mask_losses(features, samples, image_shapes, targets)
            / max(positives, 1),
        }

    def _mask_losses(
        self,
        features: Features,
        samples: Sequence[RegionSample],
        image_shapes: list[tuple[int, int]],
        targets: Sequence[Target],
    ) -> Tensor:
        """Return the sum of the mask losses of positive regions."""
        boxes = [sample.boxes[sample.labels > 0] for sample in samples]
        labels = torch.cat([sample.labels[sample.labels > 0] for sample in samples])
        pooled = self.mask_head(self.mask_roi_pool(features, boxes, image_shapes))
        logits = self.mask_predictor(pooled)
        wanted = torch.cat(
            [
                masks_in_boxes(
                    target["masks"], chosen, sample.matched[sample.labels > 0], logits.shape[-1]
                )
                for target, chosen, sample in zip(targets, boxes, samples, strict=True)
            ]
        )
        if len(labels) == 0:
            nothing: Tensor = logits.sum() * 0
            return nothing
        logits_of_class = logits[torch.arange(len(labels), device=labels.device), labels]
        loss: Tensor = self.mask_loss(logits_of_class, wanted).sum()
        return loss


def masks_in_boxes(
    masks: Integer[Tensor, "objects height width"],
    boxes: Float[Tensor, "boxes 4"],
    matched: Int64[Tensor, "boxes"],
    side: int,
) -> Float[Tensor, "boxes {side} {side}"]:
    """Return the soft mask of each box's object inside the box, side × side cells.

    This is torchvision's ``project_masks_on_boxes``, but calls the kernel directly. With
    deterministic algorithms on CUDA, torchvision uses an implementation that must be compiled, for
    a backward pass that is not needed here.
    """
    rows = torch.cat([matched[:, None].to(boxes), boxes], dim=1)
    regions = masks[:, None].to(rows)
    pooled: Tensor = torch.ops.torchvision.roi_align(regions, rows, 1.0, side, side, -1, False)
    return pooled[:, 0]
