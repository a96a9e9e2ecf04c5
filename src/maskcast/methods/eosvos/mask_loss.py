"""Mask losses of regions of interest.

    logits     regions × side × side   logits of the class "object"
    targets    regions × side × side   soft masks, 0..1; pixels with a value above 1 do not count

Each function returns one value per region; the network averages them over all positive regions of a
batch. Unlike in ``nn.lovasz``, targets are soft and pixels can be left out.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from maskcast.methods.eosvos.config import MaskLoss


def lovasz_hinge_per_region(
    logits: Float[Tensor, "regions *side"], targets: Float[Tensor, "regions *side"]
) -> Float[Tensor, "regions"]:
    """Lovász hinge with soft targets (Berman et al., CVPR 2018, algorithm 1 on hinge errors).

    The paper names Lovász-Softmax, but the published weights were learned with the hinge. The loss
    of a region without valid pixels is 0.
    """
    z, m, valid = _flat(logits, targets)
    errors = torch.where(valid, 1 - z * (2 * m - 1), -torch.inf)
    return _lovasz_extension(errors, m, valid)


def lovasz_probability_per_region(
    logits: Float[Tensor, "regions *side"], targets: Float[Tensor, "regions *side"]
) -> Float[Tensor, "regions"]:
    """Lovász extension of the Jaccard loss on sigmoid probabilities, as the paper describes."""
    z, m, valid = _flat(logits, targets)
    errors = torch.where(valid, (m - z.sigmoid()).abs(), -torch.inf)
    return _lovasz_extension(errors, m, valid)


def cross_entropy_per_region(
    logits: Float[Tensor, "regions *side"], targets: Float[Tensor, "regions *side"]
) -> Float[Tensor, "regions"]:
    """Mean binary cross-entropy over the valid pixels of each region; an ablation."""
    z, m, valid = _flat(logits, targets)
    losses = F.binary_cross_entropy_with_logits(z, m, reduction="none")
    return (losses * valid).sum(dim=1) / valid.sum(dim=1).clamp(min=1)


def _flat(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    targets = targets.flatten(start_dim=1)
    valid = targets <= 1
    return logits.flatten(start_dim=1), targets.where(valid, 0), valid


def _lovasz_extension(errors: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """Return Σ max(e, 0) · w over pixels in descending order of errors; invalid pixels are last."""
    errors, order = errors.sort(dim=1, descending=True)
    weights = _jaccard_steps(targets.gather(1, order), valid.gather(1, order))
    return (errors.relu() * weights).sum(dim=1)


@torch.no_grad()
def _jaccard_steps(targets: Tensor, valid: Tensor) -> Tensor:
    """Return the increase of the Jaccard loss with each further wrong pixel; without gradient."""
    total = targets.sum(dim=1, keepdim=True)
    intersection = total - targets.cumsum(dim=1)
    union = total + (valid.to(targets) - targets).cumsum(dim=1)
    jaccard = 1 - intersection / union.clamp(min=torch.finfo(targets.dtype).tiny)
    return jaccard.diff(dim=1, prepend=torch.zeros_like(total))


MASK_LOSSES: dict[MaskLoss, Callable[[Tensor, Tensor], Tensor]] = {
    "lovasz_hinge": lovasz_hinge_per_region,
    "lovasz_softmax": lovasz_probability_per_region,
    "bce": cross_entropy_per_region,
}
