"""The network of LWL: trunk, target model and learner, label encoder, decoder, box encoder.

images   batch × 3 × height × width   normalised by ``prepare``
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from maskcast.methods.lwl.config import NetworkConfig
from maskcast.methods.lwl.decoder import Decoder
from maskcast.methods.lwl.few_shot_learner import FewShotLearner
from maskcast.methods.lwl.label_encoder import LabelEncoder, MaskAsLabel
from maskcast.methods.lwl.presence import PresenceHead
from maskcast.methods.lwl.target_model import TargetFeatures
from maskcast.nn.resnet import StrideIn, Taps, keep_batch_norm_in_evaluation
from maskcast.nn.trunks import Normalisation, build_trunk, is_lite

if TYPE_CHECKING:
    from maskcast.methods.lwl.box_encoder import BoxEncoder


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
        caffe = config.trunk_layout == "mrcnn" and not is_lite(config.trunk)
        self.prepare = Normalisation(config.trunk, caffe=caffe)
        stride_in: StrideIn = "first-1x1" if caffe else "3x3"
        self.trunk = build_trunk(config.trunk, stride_in=stride_in, padding=config.trunk_padding)
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
        self.box_encoder = _box_encoder(config) if config.box_encoder else None
        z1_width, _, z3_width, _ = config.decoder_widths
        self.presence_head = (
            PresenceHead(z3_width, z1_width, config.feature_channels, width=config.presence_width)
            if config.presence_head
            else None
        )
        keep_batch_norm_in_evaluation(self)

    def train(self, mode: bool = True) -> LWLNetwork:
        super().train(mode)
        keep_batch_norm_in_evaluation(self)
        return self

    def extract(self, images: Float[Tensor, "images 3 height width"]) -> Features:
        """Return the taps of the trunk and the target-model features of normalised images."""
        taps = self.trunk(images)
        return Features(taps, self.features(taps.layer3))

    def no_filters(self, sequences: int, like: Tensor) -> Float[Tensor, "sequences D C K K"]:
        """Return τ = 0, the initial target model of every object."""
        side = self.config.kernel_size
        size = sequences, self.config.filters, self.config.feature_channels, side, side
        return like.new_zeros(size, dtype=torch.float32)


def _box_encoder(config: NetworkConfig) -> BoxEncoder:
    """Return a box encoder; not loaded for a network without one."""
    from maskcast.methods.lwl.box_encoder import BoxEncoder  # noqa: PLC0415

    return BoxEncoder(config.feature_channels, config.filters, width=config.box_width)
