"""The training task of LWL, used by all of its recipes (section 4 and Table 1 of the paper).

images   frames × sequences × 3 × height × width   uint8 RGB; frame 0 is the reference frame
masks    frames × sequences × height × width       uint8, 1 on the object
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int8, UInt8
from torch import Tensor, nn

from maskcast.core.config import config_to_dict
from maskcast.core.errors import WeightsError
from maskcast.core.tensors import size_of
from maskcast.core.training import Export, Items
from maskcast.io.weights.checkpoints import read_state_dict
from maskcast.methods.lwl.network import LWLNetwork
from maskcast.methods.lwl.training.augmentation import ClipSample
from maskcast.methods.lwl.training.boxes import encode_boxes
from maskcast.methods.lwl.training.config import LWLTrainingConfig
from maskcast.methods.lwl.training.data import TrainingSources
from maskcast.methods.lwl.training.losses import (
    mask_losses,
    presence_losses,
)
from maskcast.methods.lwl.training.mixture import MixedClips, Share
from maskcast.methods.lwl.training.rollout import ClipFollower, Followed
from maskcast.methods.lwl.training.validation import (
    RENDERED,
    combined,
    hidden,
    presence_counts,
    region_similarity,
)
from maskcast.nn.lovasz import Gather
from maskcast.nn.trunks import dead_channels, load_trunk
from maskcast.training.gather import gather_for_loss
from maskcast.training.items import ItemKey, SteadyItems
from maskcast.viz.overlay import draw_overlay

ENDLESS = 2**31
OPTIONAL_PARTS = ("box_encoder.", "presence_head.")
"""Prefixes of parameters that the initial weights may lack."""

logger = logging.getLogger(__name__)


class ClipBatch(NamedTuple):
    """A batch of clips; the first axis is the frame, the second the sequence."""

    images: UInt8[Tensor, "frames sequences 3 height width"]
    masks: UInt8[Tensor, "frames sequences height width"]
    boxes: Float[Tensor, "frames sequences 4"]
    visible: Int8[Tensor, "frames sequences"]
    """1 visible, 0 absent, -1 in between (``ClipSample.visible``)."""


class LWLTask:
    """Trains the parts of an LWL network that have a positive learning rate."""

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
        """The sources of clips; opened at first use, because that reads all annotations."""
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
            (
                "presence_head",
                [network.presence_head] if network.presence_head else [],
                rates.presence_head,
            ),
        ]
        groups = []
        for name, modules, rate in parts:
            parameters = [parameter for module in modules for parameter in module.parameters()]
            if parameters and rate > 0:
                groups.append({"name": name, "params": parameters, "lr": rate})
        return groups

    def compiled_parts(self) -> Sequence[nn.Module]:
        """Return the convolutional parts; learner and Lovász loss contain loops and sorting."""
        return [self.network.trunk, self.network.label_encoder, self.network.decoder]

    def loss(self, batch: ClipBatch) -> dict[str, Tensor]:
        return self._losses(batch, gather=gather_for_loss)

    def _losses(self, batch: ClipBatch, *, gather: Gather | None) -> dict[str, Tensor]:
        images = self.network.prepare(batch.images.float() / 255)
        masks = (batch.masks == 1).float()
        if not self._follows:
            return self._box_losses(images, masks, batch, gather)
        followed = self._follow(images, masks, batch)
        return self._losses_of(followed, masks, batch.visible, gather)

    @property
    def _follows(self) -> bool:
        """Whether the loss requires query frames segmented from the reference frame's mask."""
        return self.config.loss.mask_weight > 0 or self.config.loss.presence_weight > 0

    def _follow(self, images: Tensor, masks: Tensor, batch: ClipBatch) -> Followed:
        config = self.config
        follower = ClipFollower(
            network=self.network,
            config=config.rollout,
            memory=config.model.memory,
            initial_steps=config.initial_steps,
            update_steps=config.update_steps if config.apply_updates else 0,
        )
        boxes = None
        if config.loss.box_weight or config.rollout.box_starts:
            boxes = batch.boxes[0]
        followed = follower.follow(images, masks, batch.visible, boxes)
        return followed._replace(logits=followed.logits.float())

    def _losses_of(
        self, followed: Followed, masks: Tensor, visible: Tensor, gather: Gather | None
    ) -> dict[str, Tensor]:
        """Return the losses of clips whose query frames were segmented."""
        weights = self.config.loss
        total, logged = masks.new_zeros(()), {}
        if weights.mask_weight:
            logged = mask_losses(followed.logits, masks[1:], weights, gather=gather)
            total = total + weights.mask_weight * self._weighted(logged)
            logged["J"] = mean_region_similarity(followed.logits, masks[1:])
        if weights.presence_weight and followed.presence is not None:
            judged = presence_losses(followed.presence, followed.logits, masks[1:], visible[1:])
            total = total + weights.presence_weight * (judged["presence"] + judged["right"])
            logged |= judged
        if weights.box_weight and followed.box_logits is not None:
            logits = followed.box_logits.float()[None]
            losses = mask_losses(logits, masks[:1], weights, gather=gather)
            total = total + weights.box_weight * self._weighted(losses)
            logged["box_lovasz"] = losses["lovasz"]
            logged["box_J"] = mean_region_similarity(logits, masks[:1])
        return {"total": total, **logged}

    def _box_losses(
        self, images: Tensor, masks: Tensor, batch: ClipBatch, gather: Gather | None
    ) -> dict[str, Tensor]:
        """Return the losses of frames that are segmented from their boxes alone."""
        weights, network = self.config.loss, self.network
        chosen = torch.zeros_like(batch.visible, dtype=torch.bool)
        chosen[0] = True
        if weights.box_frames == "all":
            chosen |= batch.visible == 1
        images, masks, boxes = images[chosen], masks[chosen], batch.boxes[chosen]
        with torch.no_grad():
            features = network.extract(images)
        encoding = encode_boxes(network, images, boxes, features)
        size = size_of(images)
        logits = network.decoder(encoding, features.taps, size).float()[None]
        losses = mask_losses(logits, masks[None], weights, gather=gather)
        total = weights.box_weight * self._weighted(losses)
        logged = {
            "box_lovasz": losses["lovasz"],
            "box_J": mean_region_similarity(logits, masks[None]),
        }
        if weights.box_regression:
            with torch.no_grad():
                target = network.label_encoder(masks).label.float()
            distance = (encoding.float() - target).square().sum() / target.square().sum()
            total = total + weights.box_regression * distance
            logged["box_regression"] = distance
        return {"total": total, **logged}

    def _weighted(self, losses: Mapping[str, Tensor]) -> Tensor:
        return losses["lovasz"] + self.config.loss.cross_entropy * losses["cross_entropy"]

    def dataset(self, epoch: int) -> Items:
        return self._clips(epoch, self.sources.training, validation=False)

    def _clips(self, epoch: int, shares: Sequence[Share], *, validation: bool) -> MixedClips:
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
            shares,
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
        """Return the number of batches of held-out clips; 0 if nothing is held out.

        If there are both real and rendered clips, their batches alternate.
        """
        kinds = len(self._held_out())
        batches = self.config.validation_clips // self._validation_batch_size()
        return batches // kinds * kinds if kinds else 0

    def validate_part(self, part: int) -> dict[str, Tensor]:
        """Return J and losses of a batch of held-out clips.

        The clips are the same every time and have no random affine transform. A loss over the batch
        covers the batch of this process only.
        """
        kinds = list(self._held_out())
        batch = self._validation_batch(part)
        validated = self._validated(batch)
        measures = {name: validated.pop(name) for name in ("J", "box_J") if name in validated}
        kind = kinds[part % len(kinds)]
        return {name + kind: value for name, value in measures.items()} | validated

    def _validated(self, batch: ClipBatch) -> dict[str, Tensor]:
        if not self._follows:
            return self._losses(batch, gather=None)
        masks = (batch.masks == 1).float()
        followed = self._follow(self.network.prepare(batch.images.float() / 255), masks, batch)
        values = self._losses_of(followed, masks, batch.visible, None)
        logits = followed.logits
        if self.config.loss.presence_weight and followed.presence is not None:
            logits = hidden(logits, followed.presence)
        counts = presence_counts(logits, followed.presence, batch.visible[1:])
        return values | {"J": mean_region_similarity(logits, masks[1:])} | counts

    @staticmethod
    def combine_parts(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Return means, shares and ``quality``; see ``validation.combined``."""
        return combined(parts)

    def _held_out(self) -> dict[str, tuple[Share, ...]]:
        """Return held-out sources by the suffix of their measures: real clips, then rendered."""
        kinds: dict[str, tuple[Share, ...]] = {"": (), RENDERED: ()}
        for share in self.sources.held_out:
            kinds[RENDERED if share.source.name.startswith("rendered") else ""] += (share,)
        return {kind: shares for kind, shares in kinds.items() if shares}

    def epoch_report(self) -> dict[str, float]:
        """Return the share of dead channels at each level of the trunk, on held-out frames."""
        if not self.validation_parts():
            return {}
        images = self._validation_batch(0).images.flatten(0, 1)
        taps = self.network.trunk(self.network.prepare(images.float() / 255))
        return {f"dead_{level}": share for level, share in dead_channels(taps).items()}

    def _validation_batch(self, part: int) -> ClipBatch:
        size = self._validation_batch_size()
        kinds = list(self._held_out().values())
        clips = self._clips(0, kinds[part % len(kinds)], validation=True)
        whole = SteadyItems([clips], first_epoch=0, seed=self.config.loop.seed, length=None)
        first = part // len(kinds) * size
        items = [whole[ItemKey(0, first + offset)] for offset in range(size)]
        for fault in (fault for item in items for fault in item.faults):
            logger.warning("skipped a broken item, %s: %s", fault.identity, fault.reason)
        batch = self.collate([item.value for item in items])
        device = self.network.prepare.mean.device
        return ClipBatch(*(tensor.to(device) for tensor in batch))

    def _validation_batch_size(self) -> int:
        return max(1, min(self.config.loop.batch_size, self.config.validation_clips))

    def pictures(self) -> dict[str, UInt8[Tensor, "3 height width"]]:
        """Return the frames of some held-out clips with the predictions drawn over them."""
        if not self.validation_parts():
            return {}
        batch = self._validation_batch(0)
        shown = range(min(4, batch.images.shape[1]))
        return {f"clip-{sequence}": self._picture(batch, sequence) for sequence in shown}

    def _picture(self, batch: ClipBatch, sequence: int) -> UInt8[Tensor, "3 height width"]:
        one = ClipBatch(*(part[:, sequence : sequence + 1] for part in batch))
        masks = (one.masks == 1).float()
        followed = self._follow(self.network.prepare(one.images.float() / 255), masks, one)
        labels = torch.cat([masks[:1], (followed.logits > 0).float()])[:, 0].long()
        frames = [
            torch.from_numpy(
                draw_overlay(image.permute(1, 2, 0).cpu().numpy(), label.cpu().numpy())
            ).permute(2, 0, 1)
            for image, label in zip(one.images[:, 0], labels, strict=True)
        ]
        return torch.cat(frames, dim=2)

    def export(self) -> Export:
        """Return the weights and their settings; settings of speed keep their defaults."""
        settings = config_to_dict(self.config.model)
        del settings["speed"]
        card = {"licence": self.config.licence} if self.config.licence else {}
        return Export("lwl", settings, self.network.state_dict(), card)

    def start_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Load initial weights; the box encoder and the presence head may be missing.

        Raises:
            WeightsError: another tensor is missing, a tensor is unknown, or a shape is wrong.
        """
        try:
            missing, unknown = self.network.load_state_dict(dict(tensors), strict=False)
        except RuntimeError as error:
            _, *problems = map(str.strip, str(error).splitlines())
            raise WeightsError("the weights do not match this network", details=problems) from error
        missing = [name for name in missing if not name.startswith(OPTIONAL_PARTS)]
        if missing or unknown:
            raise WeightsError.mismatch(
                "the weights do not match this network", missing=missing, unknown=unknown
            )

    def data_fingerprint(self) -> str:
        return self.sources.fingerprint


def mean_region_similarity(
    logits: Float[Tensor, "frames sequences height width"],
    masks: Float[Tensor, "frames sequences height width"],
) -> Float[Tensor, ""]:
    """Return the mean J of ``logits > 0``; J is 1 where both masks are empty."""
    return region_similarity(logits, masks).mean()
