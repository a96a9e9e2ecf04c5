"""How LWL is learnt: one task, many recipes (section 4 and Table 1 of the paper).

images   frames × sequences × 3 × height × width   uint8 RGB; frame 0 is the reference frame
masks    frames × sequences × height × width       uint8, 1 on the object
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int8, UInt8
from torch import Tensor, nn
from torch.nn import functional

from maskcast.core.config import config_to_dict
from maskcast.core.errors import ConfigError, WeightsError
from maskcast.core.training import Export, Items, LoopConfig
from maskcast.data.augmentation import ClipProcessing, ClipSample
from maskcast.data.mixture import MixedClips
from maskcast.io.checkpoints import read_state_dict
from maskcast.methods.lwl.config import LWLConfig
from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.training.data import DataConfig, TrainingSources
from maskcast.nn.lovasz import Gather, lovasz_loss
from maskcast.nn.trunks import dead_channels, load_trunk
from maskcast.training.gather import gather_for_loss
from maskcast.training.items import Place, SteadyItems
from maskcast.viz.overlay import draw_overlay

ENDLESS = 2**31

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Learning rate of each part; a part with rate 0 is frozen. Defaults are those of stage 1."""

    kappa: float = 1e-4
    """κ, whose square weighs the regulariser."""
    features: float = 2e-5
    """The convolution that makes the target model's features."""
    decoder: float = 1e-4
    """All of the decoder."""
    label_encoder: float = 2e-4
    """Label encoder and weight predictor."""
    trunk: float = 0.0
    """layer2, layer3 and layer4 (strides 8, 16 and 32), with the affine parameters of their
    BatchNorms; what comes before them is always frozen."""
    box_encoder: float = 0.0
    """The box encoder, where the network has one."""

    def __post_init__(self) -> None:
        rates = [getattr(self, name) for name in self.__dataclass_fields__]
        if min(rates) < 0 or max(rates) == 0:
            raise ConfigError(f"rates cannot be negative, and one must be positive, got {self}")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimised: a weighted sum of Lovász losses and, if wanted, cross-entropies."""

    mask_weight: float = 100.0
    """Of the Lovász loss on the query frames; 0: no query frame is segmented."""
    box_weight: float = 0.0
    """Of the Lovász loss on the reference frame, segmented from its box."""
    over: Literal["batch", "frame"] = "batch"
    """One Jaccard over the batch, as published; or the mean of one per frame, Eq. (5)."""
    cross_entropy: float = 0.0
    """Share of binary cross-entropy added to each Lovász loss; helps a network that starts from
    nothing, for which Lovász alone is slow. Not in the paper."""

    def __post_init__(self) -> None:
        if min(self.mask_weight, self.box_weight, self.cross_entropy) < 0:
            raise ConfigError(f"weights of losses cannot be negative, got {self}")
        if self.mask_weight == self.box_weight == 0:
            raise ConfigError("one of mask_weight and box_weight must be positive")


@dataclass(frozen=True, kw_only=True)
class LWLTrainingConfig:
    """A recipe; the defaults are stage 1 of the published training."""

    model: LWLConfig = field(default_factory=LWLConfig)
    data: DataConfig = field(default_factory=DataConfig)
    processing: ClipProcessing = field(default_factory=ClipProcessing)
    rates: Rates = field(default_factory=Rates)
    loss: LossConfig = field(default_factory=LossConfig)
    query_frames: int = 3
    """Frames of a clip that are segmented, after the reference frame."""
    apply_updates: bool = False
    """Segment each query frame with the target model updated on those before it, as the paper
    says; the published training computed the updates and never used them."""
    initial_steps: int = 5
    """Steps of the learner on the reference frame, in training."""
    update_steps: int = 2
    """Steps of the learner after each query frame, in training."""
    trunk_weights: Path | None = None
    """File to start the trunk from: a torchvision state dict or a maskrcnn-benchmark checkpoint for
    a ResNet, the state dict of efficientnet_lite_pytorch for an EfficientNet-Lite, or the weights
    of an LWL network with the same trunk."""
    validation_clips: int = 200
    """Clips of held-out videos to validate with; 0: none."""
    licence: str = ""
    """What the data allow the weights to be used for; goes on their card."""
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        needs_box_encoder = self.loss.box_weight > 0 or self.rates.box_encoder > 0
        if needs_box_encoder and not self.model.network.box_encoder:
            raise ConfigError("to train a box encoder, set model.network.box_encoder=true")
        if self.query_frames < 1 or self.validation_clips < 0:
            raise ConfigError(
                "query_frames must be positive and validation_clips not negative, got "
                f"{self.query_frames} and {self.validation_clips}"
            )


class ClipBatch(NamedTuple):
    """Clips of several sequences, frames first."""

    images: UInt8[Tensor, "frames sequences 3 height width"]
    masks: UInt8[Tensor, "frames sequences height width"]
    boxes: Float[Tensor, "frames sequences 4"]
    visible: Int8[Tensor, "frames sequences"]
    """1 visible, 0 absent, -1 neither (``ClipSample.visible``)."""


class LWLTask:
    """Learns the parts of an LWL network that have a rate."""

    def __init__(self, config: LWLTrainingConfig) -> None:
        self.config = config
        self.network = LWLNetwork(config.model.network).to(memory_format=torch.channels_last)
        if config.trunk_weights is not None:
            load_trunk(self.network.trunk, read_state_dict(config.trunk_weights))
        self._sources: TrainingSources | None = None

    @property
    def module(self) -> nn.Module:
        return self.network

    @property
    def sources(self) -> TrainingSources:
        """Where clips come from; opened when first needed, since it reads all annotations."""
        if self._sources is None:
            self._sources = TrainingSources.open(
                self.config.data, query_frames=self.config.query_frames
            )
        return self._sources

    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        network, rates = self.network, self.config.rates
        trunk = (network.trunk.layer2, network.trunk.layer3, network.trunk.layer4)
        parts: list[tuple[str, Sequence[nn.Module], float]] = [
            ("kappa", [network.learner], rates.kappa),
            ("features", [network.features], rates.features),
            ("decoder", [network.decoder], rates.decoder),
            ("label_encoder", [network.label_encoder], rates.label_encoder),
            ("trunk", trunk, rates.trunk),
            (
                "box_encoder",
                [network.box_encoder] if network.box_encoder else [],
                rates.box_encoder,
            ),
        ]
        groups = []
        for name, modules, rate in parts:
            parameters = [parameter for module in modules for parameter in module.parameters()]
            if parameters and rate > 0:
                groups.append({"name": name, "params": parameters, "lr": rate})
        return groups

    def compiled_parts(self) -> Sequence[nn.Module]:
        """Return the convolutions; learner and Lovász loss hold loops and sorting."""
        return [self.network.trunk, self.network.label_encoder, self.network.decoder]

    def loss(self, batch: ClipBatch) -> dict[str, Tensor]:
        return self._losses(batch, gather=gather_for_loss)

    def _losses(self, batch: ClipBatch, *, gather: Gather | None) -> dict[str, Tensor]:
        weights = self.config.loss
        images = self.network.prepare(batch.images.float() / 255)
        masks = (batch.masks == 1).float()
        total, logged = images.new_zeros(()), {}
        if weights.mask_weight:
            logits = self._segment(images, masks)
            found = self._criterion(logits, masks[1:], gather)
            total = total + weights.mask_weight * found["lovasz"]
            total = total + weights.mask_weight * weights.cross_entropy * found["cross_entropy"]
            logged = {**found, "J": mean_region_similarity(logits, masks[1:])}
        if weights.box_weight:
            logits = self._segment_boxes(images[0], batch.boxes[0])[None]
            found = self._criterion(logits, masks[:1], gather)
            total = total + weights.box_weight * found["lovasz"]
            total = total + weights.box_weight * weights.cross_entropy * found["cross_entropy"]
            logged["box_lovasz"] = found["lovasz"]
            logged["box_J"] = mean_region_similarity(logits, masks[:1])
        return {"total": total, **logged}

    def _segment(self, images: Tensor, masks: Tensor) -> Tensor:
        logits: Tensor = self.network(
            images[:1],
            masks[:1],
            images[1:],
            apply_updates=self.config.apply_updates,
            initial_steps=self.config.initial_steps,
            update_steps=self.config.update_steps,
        )
        return logits.float()

    def _segment_boxes(self, images: Tensor, boxes: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.network.extract(images)
        return self.network.segment_box(images, boxes, features).float()

    def _criterion(self, logits: Tensor, masks: Tensor, gather: Gather | None) -> dict[str, Tensor]:
        lovasz = lovasz_loss(logits, masks, over=self.config.loss.over, gather=gather)
        cross_entropy = logits.new_zeros(())
        if self.config.loss.cross_entropy:
            cross_entropy = functional.binary_cross_entropy_with_logits(logits, masks)
        return {"lovasz": lovasz, "cross_entropy": cross_entropy}

    def dataset(self, epoch: int) -> Items:
        return self._clips(epoch, validation=False)

    def _clips(self, epoch: int, *, validation: bool) -> MixedClips:
        processing = self.config.processing
        if validation:
            processing = replace(
                processing,
                rotation=0.0,
                log_scale=0.0,
                brightness=0.0,
                box_jitter=(0.0, 0.0),
                miss=0.0,
            )
        return MixedClips(
            self.sources.held_out if validation else self.sources.training,
            length=ENDLESS,
            epoch=epoch,
            seed=self.config.loop.seed,
            processing=processing,
            test_frames=self.config.query_frames,
        )

    @staticmethod
    def collate(items: Sequence[ClipSample]) -> ClipBatch:
        return ClipBatch(
            torch.stack([item.images for item in items], dim=1),
            torch.stack([item.masks for item in items], dim=1),
            torch.stack([item.boxes for item in items], dim=1),
            torch.stack([item.visible for item in items], dim=1),
        )

    def validation_parts(self) -> int:
        """How many batches of held-out clips there are; none if nothing is held out."""
        count = self.config.validation_clips if self.sources.held_out else 0
        return count // self._validation_batch_size()

    def validate_part(self, part: int) -> dict[str, Tensor]:
        """Return J and losses of a batch of held-out clips, the same ones every time, without
        random affine; the loss over the batch is that of this batch, in this process."""
        found = self._losses(self._validation_batch(part), gather=None)
        return {name: found.pop(name) for name in ("J", "box_J") if name in found} | found

    def epoch_report(self) -> dict[str, float]:
        """Return the share of dead channels of each level of the trunk, on held-out frames."""
        if not self.validation_parts():
            return {}
        images = self._validation_batch(0).images.flatten(0, 1)
        taps = self.network.trunk(self.network.prepare(images.float() / 255))
        return {f"dead_{level}": share for level, share in dead_channels(taps).items()}

    def _validation_batch(self, part: int) -> ClipBatch:
        size = self._validation_batch_size()
        clips = self._clips(0, validation=True)
        whole = SteadyItems([clips], first_epoch=0, seed=self.config.loop.seed, length=None)
        items = [whole[Place(0, part * size + place)] for place in range(size)]
        for fault in (fault for item in items for fault in item.faults):
            logger.warning("skipped a broken item, %s: %s", fault.identity, fault.reason)
        batch = self.collate([item.value for item in items])
        device = self.network.mean.device
        return ClipBatch(*(each.to(device) for each in batch))

    def _validation_batch_size(self) -> int:
        return max(1, min(self.config.loop.batch_size, self.config.validation_clips))

    def pictures(self) -> dict[str, UInt8[Tensor, "3 height width"]]:
        """Return the frames of some held-out clips with what was found drawn over them."""
        if not self.validation_parts():
            return {}
        batch = self._validation_batch(0)
        shown = range(min(4, batch.images.shape[1]))
        return {f"clip-{sequence}": self._picture(batch, sequence) for sequence in shown}

    def _picture(self, batch: ClipBatch, sequence: int) -> UInt8[Tensor, "3 height width"]:
        images = batch.images[:, sequence : sequence + 1]
        masks = (batch.masks[:, sequence : sequence + 1] == 1).float()
        logits = self._segment(self.network.prepare(images.float() / 255), masks)
        labels = torch.cat([masks[:1], (logits > 0).float()])[:, 0].long()
        frames = [
            torch.from_numpy(
                draw_overlay(image.permute(1, 2, 0).cpu().numpy(), label.cpu().numpy())
            ).permute(2, 0, 1)
            for image, label in zip(images[:, 0], labels, strict=True)
        ]
        return torch.cat(frames, dim=2)

    def export(self) -> Export:
        """Weights and what they were made for; what only trades speed is left to the user."""
        settings = config_to_dict(self.config.model)
        del settings["speed"]
        card = {"licence": self.config.licence} if self.config.licence else {}
        return Export("lwl", settings, self.network.state_dict(), card)

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over weights; a box encoder may be missing in them, all else must fit.

        Raises:
            WeightsError: a tensor is missing, left over, or of another shape.
        """
        try:
            missing, unknown = self.network.load_state_dict(dict(tensors), strict=False)
        except RuntimeError as error:
            raise WeightsError(f"the weights do not fit this network: {error}") from error
        missing = [name for name in missing if not name.startswith("box_encoder.")]
        if missing or unknown:
            raise WeightsError(
                f"the weights do not fit this network: {len(missing)} tensors are missing "
                f"{missing[:3]}, {len(unknown)} are unknown {unknown[:3]}"
            )

    def data_fingerprint(self) -> str:
        return self.sources.fingerprint


def mean_region_similarity(
    logits: Float[Tensor, "frames sequences height width"],
    masks: Float[Tensor, "frames sequences height width"],
) -> Float[Tensor, ""]:
    """Mean J of ``logits > 0``; 1 where both masks are empty."""
    found, true = logits > 0, masks > 0.5
    intersection = (found & true).sum(dim=(2, 3))
    union = (found | true).sum(dim=(2, 3))
    return torch.where(union > 0, intersection / union.clamp(min=1), 1.0).mean()
