"""The network of one object, which returns losses for training or the best detection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.detection.transform import resize_boxes

from maskcast.core.device import without_cached_casts
from maskcast.core.tensors import require_tensors
from maskcast.core.types import Frame
from maskcast.methods.eosvos.box_propagation import propagate
from maskcast.methods.eosvos.config import MaskRCNNConfig, Propagation
from maskcast.methods.eosvos.mask_loss import MASK_LOSSES
from maskcast.methods.eosvos.mask_rcnn import (
    AnchorSample,
    Features,
    FixedScaleTransform,
    ProposalNetwork,
    RealStrideAnchors,
    RegionHeads,
    RegionSample,
    joined,
    published_key,
    with_published_keys,
)
from maskcast.methods.eosvos.region_pooling import RegionPooling
from maskcast.methods.eosvos.targets import Target
from maskcast.methods.eosvos.trunk import build_pyramid, pyramid_maps
from maskcast.nn.trunks import normalisation

Item = TypeVar("Item")

BoxOrder: TypeAlias = tuple[int, int, int, int]
AS_CODED: BoxOrder = (0, 1, 2, 3)
CLASSES = 2


@dataclass(frozen=True)
class Batch:
    """Distinct frames and their targets, normalised, resized and padded."""

    frames: Float[Tensor, "images 3 height width"]
    sizes: tuple[tuple[int, int], ...]
    """Height and width of each frame without its padding."""
    targets: tuple[Target, ...]
    copies: tuple[int, ...]
    """Number of copies of each frame. Samples differ between copies; features are shared."""
    box_order: BoxOrder = AS_CODED
    """Order in which the outputs of the box head regress (dx, dy, dw, dh)."""

    def __getitem__(self, image: int) -> Batch:
        one = slice(image, image + 1)
        return replace(
            self,
            frames=self.frames[one],
            sizes=self.sizes[one],
            targets=self.targets[one],
            copies=self.copies[one],
        )

    def __len__(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True)
class Samples:
    """The anchors and regions sampled for the losses of a batch, and the normalising counts."""

    anchors: tuple[AnchorSample, ...]
    """Samples of all copies of a frame, by frame."""
    regions: tuple[RegionSample, ...]
    """Samples of all copies of a frame, by frame."""
    anchor_count: int
    region_count: int
    positive_count: int

    def __getitem__(self, image: int) -> Samples:
        """Return the samples of one frame, with the counts of the whole batch."""
        one = slice(image, image + 1)
        counts = self.anchor_count, self.region_count, self.positive_count
        return Samples(self.anchors[one], self.regions[one], *counts)


@dataclass(frozen=True)
class Detection:
    """The best detection on one frame; all values are 0 if there is none."""

    probs: Float[Tensor, "height width"]
    box: Float[Tensor, "4"]
    """x1, y1, x2, y2 in pixels of the frame."""
    score: float


class ObjectNetwork(nn.Module):
    """Mask R-CNN for one object, with the losses of 2019 (paper, section 3.1).

    The random parameters are drawn from torch's global generator, which the caller has to seed.
    """

    def __init__(self, config: MaskRCNNConfig) -> None:
        super().__init__()
        self.config = config
        mean, deviation = normalisation(config.trunk, caffe=False)
        self.transform = FixedScaleTransform(config.min_side, config.max_side, mean, deviation)
        self.backbone = build_pyramid(config)
        self.rpn = _proposal_network(config)
        self.roi_heads = _region_heads(config)
        self.backbone.requires_grad_(config.train_trunk)

    def trained(self) -> list[Tensor]:
        """Return θ, the trainable parameters in order."""
        return [p for p in self.parameters() if p.requires_grad]

    def published_parameters(self) -> dict[str, nn.Parameter]:
        """Return the trainable parameters by published name, in order."""
        return {
            published_key(name): parameter
            for name, parameter in self.named_parameters()
            if parameter.requires_grad
        }

    def fixed_values(self) -> dict[str, Tensor]:
        """Return what is not trained, by published name: frozen statistics, or a frozen trunk."""
        trained = self.published_parameters().keys()
        state = with_published_keys(self.state_dict())
        return {name: value for name, value in state.items() if name not in trained}

    def load_published(self, tensors: Mapping[str, Tensor]) -> None:
        """Load parameters and buffers by published name, strictly.

        Raises:
            WeightsError: names or shapes differ.
        """
        expected = with_published_keys(self.state_dict())
        require_tensors(expected, tensors, "the weights do not match this network")
        for name, value in expected.items():
            value.copy_(tensors[name])

    def prepare(
        self,
        frames: Sequence[Float[Tensor, "3 _ _"]],
        targets: Sequence[Target],
        copies: Sequence[int] | None = None,
    ) -> Batch:
        """Normalise, resize and pad frames of any size to a common size, for training.

        ``copies`` is the number of copies of each frame, by default 1.
        """
        images, resized = self.transform(list(frames), list(targets))
        counts = tuple(copies or (1,) * len(resized))
        return Batch(images.tensors, tuple(images.image_sizes), tuple(resized), counts)

    @without_cached_casts()
    def losses(
        self, batch: Batch, samples: Samples | None = None, *, recompute: bool = False
    ) -> dict[str, Tensor]:
        """Return the five losses and their sum, L_seg, under ``total``.

        By default, the samples are drawn from torch's global generator. With ``recompute``, no
        activations inside the stages of the trunk are stored.
        """
        images = ImageList(batch.frames, list(batch.sizes))
        features = pyramid_maps(self.backbone, batch.frames, recompute=recompute)
        outlook = self.rpn.propose(images, features)
        if samples is None:
            samples = self._draw(outlook.anchors, outlook.proposals, batch)
        proposal_losses = self.rpn.losses(features, samples.anchors, samples.anchor_count)
        head_losses = self.roi_heads.losses(
            features,
            samples.regions,
            list(batch.sizes),
            batch.targets,
            regions=samples.region_count,
            positives=samples.positive_count,
        )
        losses = {**head_losses, **proposal_losses}
        return {**losses, "total": torch.stack(list(losses.values())).sum()}

    @torch.no_grad()
    @without_cached_casts()
    def draw_samples(self, batch: Batch) -> Samples:
        """Draw the samples that ``losses`` would draw, one image at a time, without gradients."""
        anchors, proposals = [], []
        for image in range(len(batch)):
            one = batch[image]
            images = ImageList(one.frames, list(one.sizes))
            outlook = self.rpn.propose(images, pyramid_maps(self.backbone, one.frames))
            anchors += outlook.anchors
            proposals += outlook.proposals
        return self._draw(anchors, proposals, batch)

    def _draw(self, anchors: list[Tensor], proposals: list[Tensor], batch: Batch) -> Samples:
        of_copy = [image for image, count in enumerate(batch.copies) for _ in range(count)]
        targets = [batch.targets[image] for image in of_copy]
        drawn = self.rpn.sample([anchors[image] for image in of_copy], targets)
        regions = self.roi_heads.sample([proposals[image] for image in of_copy], targets)
        if batch.box_order != AS_CODED:
            order = list(batch.box_order)
            regions = [replace(sample, deltas=sample.deltas[:, order]) for sample in regions]
        return Samples(
            anchors=tuple(joined(of) for of in _grouped(drawn, batch.copies)),
            regions=tuple(joined(of) for of in _grouped(regions, batch.copies)),
            anchor_count=sum(s.positive.numel() + s.negative.numel() for s in drawn),
            region_count=sum(len(s.labels) for s in regions),
            positive_count=sum(int((s.labels > 0).sum()) for s in regions),
        )

    @torch.no_grad()
    @without_cached_casts()
    def detect(
        self,
        frame: Frame,
        previous_box: Float[Tensor, "4"] | None = None,
        *,
        propagation: Propagation = "extend",
        generator: torch.Generator | None = None,
    ) -> Detection:
        """Find the object on a frame.

        Args:
            frame, previous_box: the frame, and the box on the previous one in pixels, if any.
            propagation: how the previous box changes the proposals.
            generator: random generator for the propagated boxes, on the CPU.
        """
        height, width = frame.shape[-2:]
        with _evaluating(self):
            images, _ = self.transform([frame])
            features = self.backbone(images.tensors)
            proposals = self.proposals(
                images,
                features,
                (height, width),
                previous_box,
                propagation=propagation,
                generator=generator,
            )
            detected, _ = self.roi_heads(features, [proposals], images.image_sizes)
            (best,) = self.transform.postprocess(detected, images.image_sizes, [(height, width)])
        if len(best["scores"]) == 0:
            return Detection(frame.new_zeros(height, width), frame.new_zeros(4), 0.0)
        return Detection(best["masks"][0, 0], best["boxes"][0], float(best["scores"][0]))

    def proposals(
        self,
        images: ImageList,
        features: Features,
        frame_size: tuple[int, int],
        previous_box: Tensor | None,
        *,
        propagation: Propagation,
        generator: torch.Generator | None,
    ) -> Float[Tensor, "proposals 4"]:
        """Return the proposals of a frame, in pixels of the resized frame."""
        if previous_box is None or propagation == "off" or generator is None:
            return self.rpn.propose(images, features).proposals[0]
        replaced = propagation == "replace"
        return propagate(
            images.tensors.new_zeros(0, 4)
            if replaced
            else self.rpn.propose(images, features).proposals[0],
            resize_boxes(previous_box[None], frame_size, images.image_sizes[0])[0],
            mode=propagation,
            limit=self.config.post_nms_test,
            padded_size=tuple(images.tensors.shape[-2:]),
            generator=generator,
        )


def _grouped(items: Sequence[Item], counts: Sequence[int]) -> Iterator[Sequence[Item]]:
    """Split a sequence into parts of these lengths."""
    start = 0
    for count in counts:
        yield items[start : start + count]
        start += count


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _proposal_network(config: MaskRCNNConfig) -> ProposalNetwork:
    anchors = RealStrideAnchors(
        tuple((size,) for size in config.anchor_sizes), ((0.5, 1.0, 2.0),) * 5
    )
    built = ProposalNetwork(
        anchors,
        RPNHead(config.pyramid_channels, anchors.num_anchors_per_location()[0]),
        fg_iou_thresh=0.7,
        bg_iou_thresh=0.3,
        batch_size_per_image=config.sampled_anchors,
        positive_fraction=0.5,
        pre_nms_top_n={"training": config.pre_nms_train, "testing": config.pre_nms_test},
        post_nms_top_n={"training": config.post_nms_train, "testing": config.post_nms_test},
        nms_thresh=0.7,
    )
    built.legacy_losses = config.legacy_losses
    return built


def _region_heads(config: MaskRCNNConfig) -> RegionHeads:
    channels = config.pyramid_channels
    built = RegionHeads(
        RegionPooling(config.box_pool),
        TwoMLPHead(channels * config.box_pool**2, config.box_features),
        FastRCNNPredictor(config.box_features, CLASSES),
        fg_iou_thresh=0.5,
        bg_iou_thresh=0.5,
        batch_size_per_image=config.sampled_regions,
        positive_fraction=0.25,
        bbox_reg_weights=None,
        score_thresh=config.score_threshold,
        nms_thresh=config.nms_threshold,
        detections_per_img=config.detections,
        mask_roi_pool=RegionPooling(config.mask_pool),
        mask_head=MaskRCNNHeads(channels, (config.mask_channels,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(config.mask_channels, config.mask_channels, CLASSES),
    )
    built.legacy_losses = config.legacy_losses
    built.mask_loss = MASK_LOSSES[config.mask_loss]
    return built
