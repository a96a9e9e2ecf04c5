"""The network of LWL: trunk, target model and learner, label encoder, decoder, box encoder.

images   frames × sequences × 3 × height × width   normalised by ``prepare``
masks    frames × sequences × height × width       0..1
logits   frames × sequences × height × width
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from maskcast.methods.lwl.box_encoder import BoxEncoder
from maskcast.methods.lwl.config import NetworkConfig
from maskcast.methods.lwl.decoder import Decoder
from maskcast.methods.lwl.few_shot_learner import FewShotLearner, Samples
from maskcast.methods.lwl.label_encoder import LabelEncoder, MaskAsLabel
from maskcast.methods.lwl.presence import PresenceHead
from maskcast.methods.lwl.target_model import TargetFeatures, apply_target_model
from maskcast.nn.resnet import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    Taps,
    keep_batch_norm_in_evaluation,
)
from maskcast.nn.trunks import build_trunk, is_lite

BGR_MEAN = (102.9801, 115.9465, 122.7717)
LITE_MEAN, LITE_DEVIATION = (0.5,) * 3, (0.5,) * 3


class Features(NamedTuple):
    """Features of images, which do not depend on the target."""

    taps: Taps
    x: Float[Tensor, "images C h w"]
    """Target-model features."""


class LWLNetwork(nn.Module):
    """S_θ of the paper: all learned parts. BatchNorms always use their running statistics."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.caffe = config.trunk_layout == "mrcnn" and not is_lite(config.trunk)
        self.trunk = build_trunk(
            config.trunk,
            stride_in="first-1x1" if self.caffe else "3x3",
            padding=config.trunk_padding,
        )
        self.features = TargetFeatures(
            self.trunk.channels.layer3, config.feature_channels, kernel_size=config.kernel_size
        )
        self.label_encoder: LabelEncoder | MaskAsLabel = (
            MaskAsLabel()
            if config.label == "mask"
            else LabelEncoder(
                config.filters, config.label_widths, learned_weight=config.weight == "learned"
            )
        )
        self.learner = FewShotLearner(config.initial_kappa)
        self.decoder = Decoder(
            self.trunk.channels,
            config.filters,
            config.decoder_widths,
            config.upsampler_width,
            config.upsampling,
        )
        self.box_encoder = (
            BoxEncoder(config.feature_channels, config.filters, width=config.box_width)
            if config.box_encoder
            else None
        )
        z1_width, _, z3_width, _ = config.decoder_widths
        self.presence_head = (
            PresenceHead(z3_width, z1_width, config.feature_channels, width=config.presence_width)
            if config.presence_head
            else None
        )
        mean, deviation = _normalisation(config)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)
        keep_batch_norm_in_evaluation(self)

    def train(self, mode: bool = True) -> LWLNetwork:
        super().train(mode)
        keep_batch_norm_in_evaluation(self)
        return self

    def prepare(
        self, frames: Float[Tensor, "*batch 3 height width"]
    ) -> Float[Tensor, "*batch 3 height width"]:
        """Normalise RGB frames, 0..1, for the trunk."""
        if self.caffe:
            frames = frames.flip(-3) * 255  # BGR
        return (frames - self.mean) / self.deviation

    def extract(self, images: Float[Tensor, "images 3 height width"]) -> Features:
        """Return the taps of the trunk and the target-model features of normalised images."""
        taps = self.trunk(images)
        return Features(taps, self.features(taps.layer3))

    def no_filters(self, sequences: int, like: Tensor) -> Float[Tensor, "sequences D C K K"]:
        """Return τ = 0, the initial target model of every object."""
        config, kernel_size = self.config, self.config.kernel_size
        return like.new_zeros(
            sequences,
            config.filters,
            config.feature_channels,
            kernel_size,
            kernel_size,
            dtype=torch.float32,
        )

    def forward(
        self,
        reference_images: Float[Tensor, "references sequences 3 height width"],
        reference_masks: Float[Tensor, "references sequences height width"],
        query_images: Float[Tensor, "queries sequences 3 height width"],
        *,
        apply_updates: bool = True,
        initial_steps: int = 5,
        update_steps: int = 2,
    ) -> Float[Tensor, "queries sequences height width"]:
        """Segment the query frames of a mini-sequence one after the other, for training.

        The target model is fitted to the reference frames. After each query frame, the learner also
        uses the prediction for that frame as a pseudo-mask, through which no gradient flows.

        Args:
            reference_images: normalised images with given masks.
            reference_masks: the given masks, 0..1.
            query_images: normalised images in temporal order.
            apply_updates: whether a query frame uses the target model updated on earlier query
                frames, as in the paper. If not, every query frame is predicted with the target
                model of the reference frames, as in the published training.
            initial_steps: learner steps on the reference frames.
            update_steps: learner steps after each query frame but the last.
        """
        references, sequences = reference_images.shape[:2]
        images = torch.cat([reference_images, query_images]).flatten(0, 1)
        features = self.extract(images)
        x = features.x.view(-1, sequences, *features.x.shape[1:])
        x = x if self.config.end_to_end else x.detach()
        labels = self.label_encoder(reference_masks.flatten(0, 1))
        e, v = (part.view(references, sequences, *part.shape[1:]) for part in labels)
        tau = self.fit(self.no_filters(sequences, x), x[:references], e, v, initial_steps)
        size = (images.shape[-2], images.shape[-1])
        logits = []
        for query in range(references, len(x)):
            scores = apply_target_model(tau, x[query : query + 1])[0]
            frame = slice(query * sequences, (query + 1) * sequences)
            taps = Taps(*(tap[frame] for tap in features.taps))
            logits.append(self.decoder(scores, taps, size))
            if apply_updates and update_steps and query + 1 < len(x):
                labels = self.label_encoder(logits[-1].detach().sigmoid())
                e, v = torch.cat([e, labels.label[None]]), torch.cat([v, labels.weight[None]])
                tau = self.fit(tau, x[: query + 1], e, v, update_steps)
        return torch.stack(logits)

    def fit(
        self,
        tau: Float[Tensor, "sequences D C K K"],
        x: Float[Tensor, "frames sequences C h w"],
        e: Float[Tensor, "frames sequences D h w"],
        v: Float[Tensor, "frames sequences D h w"],
        steps: int,
    ) -> Float[Tensor, "sequences D C K K"]:
        """Run the learner in float32; no gradient passes through it unless ``end_to_end``."""
        if self.config.end_to_end:
            return self._fit(tau, x, e, v, steps)
        with torch.no_grad():
            return self._fit(tau, x, e, v, steps)

    def _fit(self, tau: Tensor, x: Tensor, e: Tensor, v: Tensor, steps: int) -> Tensor:
        samples = Samples.of_frames(x.float(), e.float(), v.float())
        fitted: Tensor = self.learner(tau, samples, steps)
        return fitted

    def segment_box(
        self,
        images: Float[Tensor, "images 3 height width"],
        boxes: Float[Tensor, "images 4"],
        features: Features | None = None,
    ) -> Float[Tensor, "images height width"]:
        """Return logits of the object in each box (x, y, width, height in pixels of the image)."""
        features = features or self.extract(images)
        encoding = self.encode_boxes(images, boxes, features)
        logits: Tensor = self.decoder(encoding, features.taps, (images.shape[-2], images.shape[-1]))
        return logits

    def encode_boxes(
        self,
        images: Float[Tensor, "images 3 height width"],
        boxes: Float[Tensor, "images 4"],
        features: Features,
    ) -> Float[Tensor, "images D h w"]:
        """Return the mask encoding of the object in each box, for the decoder."""
        if self.box_encoder is None:
            raise ValueError("this network has no box encoder")
        encoding: Tensor = self.box_encoder(boxes, features.x, (images.shape[-2], images.shape[-1]))
        return encoding


def _normalisation(config: NetworkConfig) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation that normalise images for the trunk."""
    if is_lite(config.trunk):
        return LITE_MEAN, LITE_DEVIATION
    if config.trunk_layout == "mrcnn":
        return BGR_MEAN, (1.0,) * 3
    return IMAGENET_MEAN, IMAGENET_DEVIATION
