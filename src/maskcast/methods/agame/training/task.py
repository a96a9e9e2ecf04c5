"""The training task of A-GAME: end-to-end training on snippets (map: losses, epochs).

    frames    snippets × time × 3 × height × width   uint8 RGB
    labels    snippets × time × height × width       uint8: 1 object, 0 background, 255 void

With several processes, each one computes the batch statistics of the trunk's last stage over its
own part of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from maskcast.core.config import config_to_dict
from maskcast.core.training import Export
from maskcast.io.weights.checkpoints import read_state_dict
from maskcast.methods.agame.framing import normalise
from maskcast.methods.agame.network import AgameNetwork
from maskcast.methods.agame.training.clip_loss import clip_losses, follow, target_iou
from maskcast.methods.agame.training.config import AgameTrainingConfig
from maskcast.methods.agame.training.data import SnippetEpoch, TrainingSources
from maskcast.methods.agame.training.snippets import Snippet, VideoSnippets


class SnippetBatch(NamedTuple):
    """Snippets of one length and size."""

    frames: UInt8[Tensor, "snippets time 3 height width"]
    labels: UInt8[Tensor, "snippets time height width"]


class AgameTask:
    """Trains all parts of the network but the frozen stages of the trunk."""

    def __init__(self, config: AgameTrainingConfig) -> None:
        self.config = config
        self.network = AgameNetwork(config.model).to(memory_format=torch.channels_last)
        trunk = self.network.trunk
        trunk.set_trained(config.trained_stages, batch_statistics=config.batch_statistics)
        if config.trunk_weights is not None:
            trunk.load(read_state_dict(config.trunk_weights))
        self._sources: TrainingSources | None = None

    @property
    def module(self) -> nn.Module:
        return self.network

    @property
    def sources(self) -> TrainingSources:
        """The sources of snippets; opened at first use, because that reads all annotations."""
        if self._sources is None:
            config = self.config
            self._sources = TrainingSources.open(
                config.data, config.snippets, validation_length=config.validation_length
            )
        return self._sources

    def parameter_groups(self) -> Sequence[Mapping[str, Any]]:
        trained = [p for p in self.network.parameters() if p.requires_grad]
        return [{"name": "network", "params": trained}]

    def compiled_parts(self) -> Sequence[nn.Module]:
        """Return the convolutional parts; the appearance model sums over all pixels of a frame."""
        return [self.network.trunk, self.network.decoder]

    def loss(self, batch: SnippetBatch) -> dict[str, Tensor]:
        config = self.config
        losses = clip_losses(
            self.network,
            normalise(batch.frames.float() / 255, config.model.trunk),
            batch.labels.long(),
            auxiliary=config.auxiliary > 0,
            recompute=config.recompute,
        )
        if losses.auxiliary is None:
            return {"total": losses.main, "main": losses.main}
        total = losses.main + config.auxiliary * losses.auxiliary
        return {"total": total, "main": losses.main, "auxiliary": losses.auxiliary}

    def dataset(self, epoch: int) -> SnippetEpoch:
        config = self.config
        return SnippetEpoch(
            self.sources.training, config.data, config.snippets, seed=config.loop.seed, epoch=epoch
        )

    def collate(self, items: Sequence[Snippet]) -> SnippetBatch:
        return SnippetBatch(
            torch.stack([item.frames for item in items]),
            torch.stack([item.labels for item in items]),
        )

    def validation_parts(self) -> int:
        """Return the number of held-out snippets for validation; 0 if nothing is held out."""
        return len(self._held_out())

    def validate_part(self, part: int) -> dict[str, float]:
        """Return the mean IoU over the frames of a held-out snippet, including the first.

        Raises:
            DataError: a file of the snippet cannot be read.
        """
        source, target = self._held_out()[part]
        snippet = source.first(target)
        if snippet is None:
            return {}
        device = next(self.network.parameters()).device
        labels = snippet.labels[None].to(device)
        frames = snippet.frames[None].to(device).float() / 255
        frames = normalise(frames, self.config.model.trunk)
        steps = follow(self.network, frames, labels[:, 0] == 1, coarse=False)
        masks = torch.stack([step.fine[:, 1] > step.fine[:, 0] for step in steps], dim=1)
        return {"iou": float(target_iou(masks, labels == 1).mean())}

    def _held_out(self) -> list[tuple[VideoSnippets, int]]:
        """Return source and target of the held-out snippets used for validation."""
        targets = [(source, i) for source in self.sources.held_out for i in range(len(source))]
        return targets[: self.config.validation_snippets]

    def export(self) -> Export:
        card: dict[str, Any] = {"size": list(self.config.snippets.size)}
        if self.config.licence:
            card["licence"] = self.config.licence
        return Export("agame", config_to_dict(self.config.model), self.network.state_dict(), card)

    def data_fingerprint(self) -> str:
        return self.sources.fingerprint
