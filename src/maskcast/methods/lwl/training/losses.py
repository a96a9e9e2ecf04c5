"""What LWL is trained to minimise.

logits    frames × sequences × height × width
masks     frames × sequences × height × width   1 on the object, else 0
visible   frames × sequences                    1 visible, 0 absent, -1 unknown
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Bool, Float, Int8
from torch import Tensor
from torch.nn import functional

from maskcast.core.errors import ConfigError
from maskcast.methods.lwl.presence import Presence
from maskcast.nn.lovasz import Gather, lovasz_loss

RIGHT = 0.5
"""IoU from which a mask counts as right."""


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimised: a weighted sum of Lovász losses and, if wanted, cross-entropies."""

    mask_weight: float = 100.0
    """Of the Lovász loss on the query frames; 0: no query frame is segmented."""
    box_weight: float = 0.0
    """Of the Lovász loss on the reference frame, segmented from its box."""
    presence_weight: float = 0.0
    """Of the presence head's cross-entropies; they train nothing but the head."""
    over: Literal["batch", "frame"] = "batch"
    """One Jaccard over the batch, as published; or the mean of one per frame, Eq. (5)."""
    cross_entropy: float = 0.0
    """Share of binary cross-entropy added to each Lovász loss; helps a network that starts from
    nothing, for which Lovász alone is slow. Not in the paper."""
    lovasz_on_absent: bool = True
    """With one Jaccard per frame, whether frames without the object count in the Lovász loss,
    which there is the error of the worst pixel; False leaves them to the cross-entropy."""
    box_frames: Literal["reference", "all"] = "reference"
    """Frames that are segmented from their boxes where no query frame is segmented from the
    reference frame's mask; ``all`` takes every frame on which the object is visible."""
    box_regression: float = 0.0
    """Of the box encoder's relative squared distance from the label encoder's output, beside
    its Lovász loss; only where no query frame is segmented."""

    def __post_init__(self) -> None:
        weights = (self.mask_weight, self.box_weight, self.presence_weight)
        if min(*weights, self.cross_entropy, self.box_regression) < 0:
            raise ConfigError(f"weights of losses cannot be negative, got {self}")
        if max(weights) == 0:
            raise ConfigError("one of mask_weight, box_weight and presence_weight must be positive")


def mask_losses(
    logits: Float[Tensor, "frames sequences height width"],
    masks: Float[Tensor, "frames sequences height width"],
    config: LossConfig,
    *,
    gather: Gather | None,
) -> dict[str, Tensor]:
    """Return the Lovász loss and the cross-entropy; the latter is 0 if it has no weight."""
    counted = None if config.lovasz_on_absent else masks.flatten(2).any(dim=2)
    lovasz = lovasz_loss(logits, masks, over=config.over, gather=gather, counted=counted)
    cross_entropy = logits.new_zeros(())
    if config.cross_entropy:
        cross_entropy = functional.binary_cross_entropy_with_logits(logits, masks)
    return {"lovasz": lovasz, "cross_entropy": cross_entropy}


def presence_losses(
    presence: Presence,
    logits: Float[Tensor, "frames sequences height width"],
    masks: Float[Tensor, "frames sequences height width"],
    visible: Int8[Tensor, "frames sequences"],
) -> dict[str, Tensor]:
    """Return the cross-entropies of both judgements, balanced by class.

    A mask is right where its IoU with the visible object is at least 0.5. Painted pixels on an
    absent frame are wrong; an empty mask there is not judged, nor are frames of unknown visibility.
    """
    found = logits.detach() > 0
    right = overlap(found, masks > 0.5) >= RIGHT
    judged = (visible == 1) | ((visible == 0) & found.flatten(2).any(dim=2))
    return {
        "presence": balanced_cross_entropy(presence.visible, visible == 1, visible >= 0),
        "right": balanced_cross_entropy(presence.right, right, judged),
    }


def balanced_cross_entropy(
    logits: Float[Tensor, "frames sequences"],
    labels: Bool[Tensor, "frames sequences"],
    counted: Bool[Tensor, "frames sequences"],
) -> Float[Tensor, ""]:
    """Half the mean over the positives plus half the mean over the negatives; 0 for no frames."""
    losses = functional.binary_cross_entropy_with_logits(
        logits, labels.to(logits.dtype), reduction="none"
    )
    classes = [counted & labels, counted & ~labels]
    means = [(losses * part).sum() / part.sum().clamp(min=1) for part in classes]
    return 0.5 * (means[0] + means[1])


def overlap(
    found: Bool[Tensor, "*batch height width"], true: Bool[Tensor, "*batch height width"]
) -> Float[Tensor, "*batch"]:
    """IoU; 0 where both are empty."""
    union = (found | true).sum(dim=(-2, -1))
    return (found & true).sum(dim=(-2, -1)) / union.clamp(min=1)
