"""Segment the frames of a training clip one after the other, as at test time.

images   frames × sequences × 3 × height × width   normalised; frame 0 is the reference frame
masks    frames × sequences × height × width       0..1, ground truth
visible  frames × sequences                        1 visible, 0 absent, -1 unknown

With the default settings this is section 3.6 of the paper: after each query frame, the learner also
uses the prediction for that frame as a pseudo-mask, through which no gradient flows. Without update
steps, every query frame is predicted with the target model of the reference frame, as in the
published training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int8
from torch import Tensor

from maskcast.core.tensors import size_of
from maskcast.methods.lwl.config import MemoryConfig
from maskcast.methods.lwl.few_shot_learner import Samples
from maskcast.methods.lwl.memory import Memory, Slot, factors
from maskcast.methods.lwl.network import Features, LWLNetwork
from maskcast.methods.lwl.presence import Evidence, Presence, describe_first
from maskcast.methods.lwl.target_model import apply_target_model
from maskcast.methods.lwl.training.batched_correlation import BATCHED, samples_of_frames
from maskcast.methods.lwl.training.boxes import segment_boxes
from maskcast.methods.lwl.training.config import RolloutConfig
from maskcast.methods.lwl.training.losses import overlap
from maskcast.nn.presence import mean_confidence
from maskcast.nn.resnet import Taps

USABLE_BOX_MASK = 0.5
"""Minimum IoU of a mask made from a box for use as first mask."""


class Followed(NamedTuple):
    """The predictions for a clip."""

    logits: Float[Tensor, "queries sequences height width"]
    presence: Presence | None
    """Presence on the query frames; None if the network has no presence head."""
    box_logits: Float[Tensor, "sequences height width"] | None
    """Logits of the reference frame, segmented from its box; None without boxes."""


@dataclass(frozen=True, kw_only=True)
class ClipFollower:
    """Runs a network over the frames of clips (section 3.6 of the paper).

    Args:
        network: the network. In training mode, corrections, known absences and starts from boxes
            are drawn from the global generator; in evaluation mode there are none.
        config: settings of the memory and of random events between frames.
        memory: settings of the temporal weights, used with ``gammas_as_at_test``.
        initial_steps, update_steps: steps of the learner.
    """

    network: LWLNetwork
    config: RolloutConfig
    memory: MemoryConfig
    initial_steps: int
    update_steps: int

    def follow(
        self,
        images: Float[Tensor, "frames sequences 3 height width"],
        masks: Float[Tensor, "frames sequences height width"],
        visible: Int8[Tensor, "frames sequences"],
        boxes: Float[Tensor, "sequences 4"] | None = None,
    ) -> Followed:
        """Segment all frames but the first, in order.

        Args:
            images: normalised frames.
            masks: ground truth, 0..1.
            visible: 1 visible, 0 absent, -1 unknown.
            boxes: box of the object on the first frame. If given, that frame is also segmented from
                the box; gradients then reach the box encoder and the decoder, not the trunk.
        """
        network, sequences = self.network, images.shape[1]
        size = size_of(images)
        features = network.extract(images.flatten(0, 1))
        box_logits = None if boxes is None else self._from_boxes(images[0], boxes, features)
        start = masks[0] if box_logits is None else self._start(masks[0], box_logits)
        x = features.x.view(-1, sequences, *features.x.shape[1:])
        x = x if network.config.end_to_end else x.detach()
        labels = network.label_encoder(start)
        remembered = _Remembered(x[0], labels.label, labels.weight, self)
        first = describe_first(x[0], start, labels.label)
        tau = network.no_filters(sequences, x)
        tau = fit(network, tau, remembered.samples(), self.initial_steps)
        logits: list[Tensor] = []
        judged: list[Presence] = []
        for frame in range(1, len(x)):
            scores = apply_target_model(tau, x[frame : frame + 1])[0]
            rows = slice(frame * sequences, (frame + 1) * sequences)
            taps = Taps(*(tap[rows] for tap in features.taps))
            if network.presence_head is None:
                logits.append(network.decoder(scores, taps, size))
            else:
                decoded = network.decoder.decode(scores, taps, size)
                _, z3, _, z1 = decoded.states
                logits.append(decoded.logits)
                evidence = Evidence(z3, z1, logits[-1], x[frame], scores, first)
                judged.append(network.presence_head(evidence))
            if self.update_steps and frame + 1 < len(x):
                presence = judged[-1] if judged else None
                predicted = logits[-1].detach()
                absent = self._absent(predicted, presence, visible[frame])
                kept, annotated = self._corrected(predicted.sigmoid(), masks[frame], visible[frame])
                kept = torch.where(absent[:, None, None], 0.0, kept)
                labels = network.label_encoder(kept)
                remembered.add(x[frame], labels.label, labels.weight, absent, annotated)
                tau = tau.detach() if self.config.last_update_only else tau
                tau = fit(network, tau, remembered.samples(), self.update_steps)
        return Followed(torch.stack(logits), _stacked(judged), box_logits)

    def _from_boxes(self, images: Tensor, boxes: Tensor, features: Features) -> Tensor:
        sequences = len(images)
        first = Features(
            Taps(*(tap[:sequences].detach() for tap in features.taps)),
            features.x[:sequences].detach(),
        )
        return segment_boxes(self.network, images, boxes, first)

    def _start(self, masks: Tensor, box_logits: Tensor) -> Tensor:
        """Return the first masks: the ground truth, or at random the soft mask of the box."""
        soft = box_logits.detach().float().sigmoid()
        usable = overlap(soft > 0.5, masks > 0.5) >= USABLE_BOX_MASK
        chosen = usable & self._drawn(self.config.box_starts, masks)
        return torch.where(chosen[:, None, None], soft, masks)

    def _absent(
        self, logits: Tensor, presence: Presence | None, visible: Tensor
    ) -> Bool[Tensor, "sequences"]:
        """Return in which sequences the object counts as absent."""
        if not self.config.negatives:
            return torch.zeros_like(visible, dtype=torch.bool)
        if presence is None:
            judged = mean_confidence(logits.float().sigmoid()) < self.config.absent_below
        else:
            judged = presence.visible.detach() < 0
        known = self._drawn(self.config.known_absence, logits) & (visible >= 0)
        return torch.where(known, visible == 0, judged)

    def _corrected(
        self, probs: Tensor, masks: Tensor, visible: Tensor
    ) -> tuple[Tensor, Bool[Tensor, "sequences"]]:
        """Replace some predictions by the true mask; also return which ones."""
        chosen = self._drawn(self.config.corrections, probs) & (visible == 1)
        return torch.where(chosen[:, None, None], masks, probs), chosen

    def _drawn(self, probability: float, like: Tensor) -> Bool[Tensor, "sequences"]:
        """Draw an event for each sequence; never true in evaluation mode.

        The generator is not used if the result is certain.
        """
        if not self.network.training or probability == 0:
            return torch.zeros(len(like), dtype=torch.bool, device=like.device)
        return torch.rand(len(like), device=like.device) < probability


def fit(
    network: LWLNetwork, tau: Float[Tensor, "sequences D C K K"], samples: Samples, steps: int
) -> Float[Tensor, "sequences D C K K"]:
    """Run the learner; no gradient passes through it unless ``end_to_end``."""
    with torch.set_grad_enabled(torch.is_grad_enabled() and network.config.end_to_end):
        fitted: Tensor = network.learner(tau, samples, steps, BATCHED)
    return fitted


class _Remembered:
    """The memories of several sequences, with their weights γ."""

    def __init__(self, x: Tensor, label: Tensor, weight: Tensor, follower: ClipFollower) -> None:
        self.follower = follower
        self.x, self.label, self.weight = [x], [label], [weight]
        self.memories = [Memory.of_first(_slot(x, label, weight, s)) for s in range(len(x))]
        self.frames = [[0] for _ in range(len(x))]
        self.absences: list[list[int]] = [[] for _ in range(len(x))]

    def add(
        self, x: Tensor, label: Tensor, weight: Tensor, absent: Tensor, annotated: Tensor
    ) -> None:
        """Add the next frame, except to sequences with the maximum number of absent frames."""
        frame = len(self.x)
        self.x.append(x)
        self.label.append(label)
        self.weight.append(weight)
        flags = zip(absent.tolist(), annotated.tolist(), strict=True)
        for sequence, (is_absent, is_annotated) in enumerate(flags):
            if is_absent:
                if len(self.absences[sequence]) < self.follower.config.negatives:
                    self.absences[sequence].append(frame)
                continue
            slot = _slot(x, label, weight, sequence, annotated=is_annotated)
            memory = self.memories[sequence].insert(slot, self.follower.memory)
            frames = self.frames[sequence]
            frames[memory.newest : memory.newest + 1] = [frame]
            self.memories[sequence] = memory

    def samples(self) -> Samples:
        """Return x, e and γ·v in float32, which the learner computes in."""
        v = torch.stack(self.weight)
        gammas = self._gammas(v)
        if gammas is not None:
            v = v * gammas[:, :, None, None, None]
        x, e = torch.stack(self.x), torch.stack(self.label)
        return samples_of_frames(x.float(), e.float(), v.float())

    def _gammas(self, v: Tensor) -> Tensor | None:
        """Return γ by frame and sequence, 0 for frames not in memory; None if all are 1."""
        weighted, config = self.follower.config.gammas_as_at_test, self.follower.memory
        remembered = zip(self.frames, self.absences, strict=True)
        if not weighted and all(len(f) + len(a) == len(self.x) for f, a in remembered):
            return None
        gammas = torch.zeros(v.shape[:2])
        for sequence, memory in enumerate(self.memories):
            frames, absences = self.frames[sequence], self.absences[sequence]
            (share,) = factors((config.absent_share / max(len(absences), 1),), config)
            shares = factors(memory.gammas, config)
            gammas[frames, sequence] = torch.tensor(shares) if weighted else 1.0
            gammas[absences, sequence] = share if weighted else 1.0
        return gammas.to(v)


def _slot(
    x: Tensor, label: Tensor, weight: Tensor, sequence: int, *, annotated: bool = False
) -> Slot:
    x, label, weight = (part[sequence].movedim(0, -1) for part in (x, label, weight))
    return Slot(x, label, weight, annotated)


def _stacked(judged: list[Presence]) -> Presence | None:
    if not judged:
        return None
    return Presence(*(torch.stack(parts) for parts in zip(*judged, strict=True)))
