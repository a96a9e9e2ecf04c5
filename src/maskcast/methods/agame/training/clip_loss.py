"""The loss of training clips, which is differentiable through the recurrence over all frames.

    frames     clips × time × 3 × height × width     normalised; sides are multiples of 16
    labels     clips × time × height × width        1 object, 0 background, 255 void
    log probs  clips × 2 × height × width           of background and target, per frame

Each clip has one object. Gradients run through the recurrent masks, every update of the appearance
model, and the initial model of the first frame; nothing is detached (map: losses).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from maskcast.core.errors import ConfigError
from maskcast.methods.agame.framing import STRIDE, indicator, to_grid
from maskcast.methods.agame.network import AgameNetwork, FrameFeatures, TrackedObjects
from maskcast.nn.resize import resize_bilinear

VOID = 255
SURE = 1e-7
"""Minimum distance of the probabilities of a given mask from 0 and 1."""


class LogProbs(NamedTuple):
    """The log-probabilities predicted for one frame of every clip."""

    fine: Float[Tensor, "clips 2 height width"]
    coarse: Float[Tensor, "clips 2 height width"] | None
    """Coarse prediction at full size; None unless requested."""


@dataclass(frozen=True)
class ClipLosses:
    """Means of −log P over all pixels that are not void."""

    main: Float[Tensor, ""]
    """Loss of the fine predictions."""
    auxiliary: Float[Tensor, ""] | None
    """Loss of the coarse predictions; None unless requested."""


def clip_losses(
    network: AgameNetwork,
    frames: Float[Tensor, "clips time 3 height width"],
    labels: Int64[Tensor, "clips time height width"],
    *,
    auxiliary: bool,
    recompute: bool = False,
) -> ClipLosses:
    """Segment the object of each clip from its first mask, and return the losses (map: losses).

    The first frame counts too, with the given mask as its prediction.

    Args:
        network: the network. In training mode, stage 4 of its trunk uses the batch statistics of
            each point in time.
        frames: normalised frames.
        labels: labels of every frame; the first is the given mask, whose void counts as background.
        auxiliary: compute the loss of the coarse predictions too.
        recompute: store only the states between frames, and recompute the heads in the backward
            pass, which takes less memory and gives the same gradients.

    Raises:
        ConfigError: a side of the frames is not a multiple of 16.
    """
    counted = (labels != VOID).sum().clamp_min(1)
    main, coarse = frames.new_zeros(()), frames.new_zeros(())
    steps = follow(network, frames, labels[:, 0] == 1, coarse=auxiliary, recompute=recompute)
    for predicted, target in zip(steps, labels.unbind(dim=1), strict=True):
        main = main + _summed(predicted.fine, target)
        if predicted.coarse is not None:
            coarse = coarse + _summed(predicted.coarse, target)
    return ClipLosses(main / counted, coarse / counted if auxiliary else None)


def follow(
    network: AgameNetwork,
    frames: Float[Tensor, "clips time 3 height width"],
    first_mask: Bool[Tensor, "clips height width"],
    *,
    coarse: bool,
    recompute: bool = False,
) -> Iterator[LogProbs]:
    """Yield the log-probabilities of every frame; coarse masks are fed back (map: frame loop).

    The trunk processes the frames of one point in time together, in temporal order.
    """
    if frames.shape[-2] % STRIDE or frames.shape[-1] % STRIDE:
        height, width = frames.shape[-2:]
        raise ConfigError(f"sides of training frames must be multiples of 16, got {height}×{width}")
    first, *later = frames.unbind(dim=1)
    features = network.features(first)
    objects = network.begin(features, to_grid(indicator(first_mask)))
    first_log_probs = given_log_probs(first_mask)
    yield LogProbs(first_log_probs, first_log_probs if coarse else None)

    def step(features: FrameFeatures, objects: TrackedObjects) -> tuple[LogProbs, TrackedObjects]:
        prediction = network.predict(features, objects)
        updated = network.update(features, objects, prediction.coarse.softmax(dim=1))
        enlarged = coarse_log_probs(prediction.coarse) if coarse else None
        return LogProbs(prediction.fine.log_softmax(dim=1), enlarged), updated

    for frame in later:
        features = network.features(frame)
        if recompute:
            log_probs, objects = checkpoint(step, features, objects, use_reentrant=False)
        else:
            log_probs, objects = step(features, objects)
        yield log_probs


def given_log_probs(
    masks: Bool[Tensor, "objects height width"],
) -> Float[Tensor, "objects 2 height width"]:
    """Return the log-probabilities of given masks, clamped in float32 (map: losses).

    The background is one minus the clamped target, so both keep their
    distance from 0 and 1 only up to rounding.
    """
    target = masks.float().clamp(SURE, 1 - SURE)
    return torch.stack([1 - target, target], dim=1).log()


def coarse_log_probs(
    coarse: Float[Tensor, "objects 2 rows columns"],
) -> Float[Tensor, "objects 2 height width"]:
    """Return the coarse prediction at full size, resized after the logarithm (map: losses)."""
    rows, columns = coarse.shape[-2:]
    return resize_bilinear(coarse.log_softmax(dim=1), (STRIDE * rows, STRIDE * columns))


def target_iou(
    predicted: Bool[Tensor, "*batch height width"], true: Bool[Tensor, "*batch height width"]
) -> Float[Tensor, "*batch"]:
    """Return the intersection over union of masks; 1 if both are empty (map: IoU)."""
    together = (predicted & true).sum(dim=(-2, -1)) + 1e-8
    return together / ((predicted | true).sum(dim=(-2, -1)) + 1e-8)


def _summed(log_probs: Tensor, target: Tensor) -> Tensor:
    return functional.nll_loss(log_probs, target, ignore_index=VOID, reduction="sum")
