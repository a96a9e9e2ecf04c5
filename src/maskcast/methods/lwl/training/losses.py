"""The training losses of LWL.

logits    frames × sequences × height × width
masks     frames × sequences × height × width   1 on the object, else 0
visible   frames × sequences                    1 visible, 0 absent, -1 unknown
"""

from __future__ import annotations

from jaxtyping import Bool, Float, Int8
from torch import Tensor
from torch.nn import functional

from maskcast.methods.lwl.presence import Presence
from maskcast.methods.lwl.training.config import LossConfig
from maskcast.nn.lovasz import Gather, lovasz_loss

RIGHT = 0.5
"""Minimum IoU of a mask that counts as right."""


def mask_losses(
    logits: Float[Tensor, "frames sequences height width"],
    masks: Float[Tensor, "frames sequences height width"],
    config: LossConfig,
    *,
    gather: Gather | None,
) -> dict[str, Tensor]:
    """Return the Lovász loss and the cross-entropy; the latter is 0 if its weight is 0."""
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
    """Return the cross-entropies of both outputs of the presence head, balanced by class.

    A mask is right if its IoU with the visible object is at least 0.5. On an absent frame, a
    non-empty mask is wrong and an empty one does not count. Frames of unknown visibility do not
    count either.
    """
    predicted = logits.detach() > 0
    right = overlap(predicted, masks > 0.5) >= RIGHT
    judged = (visible == 1) | ((visible == 0) & predicted.flatten(2).any(dim=2))
    return {
        "presence": balanced_cross_entropy(presence.visible, visible == 1, visible >= 0),
        "right": balanced_cross_entropy(presence.right, right, judged),
    }


def balanced_cross_entropy(
    logits: Float[Tensor, "frames sequences"],
    labels: Bool[Tensor, "frames sequences"],
    counted: Bool[Tensor, "frames sequences"],
) -> Float[Tensor, ""]:
    """Return half the mean over positives plus half the mean over negatives; 0 without frames."""
    losses = functional.binary_cross_entropy_with_logits(
        logits, labels.to(logits.dtype), reduction="none"
    )
    classes = [counted & labels, counted & ~labels]
    means = [(losses * part).sum() / part.sum().clamp(min=1) for part in classes]
    return 0.5 * (means[0] + means[1])


def overlap(
    predicted: Bool[Tensor, "*batch height width"], true: Bool[Tensor, "*batch height width"]
) -> Float[Tensor, "*batch"]:
    """Return the IoU; 0 where both masks are empty."""
    union = (predicted | true).sum(dim=(-2, -1))
    return (predicted & true).sum(dim=(-2, -1)) / union.clamp(min=1)
