"""From a label map of one object to what Mask R-CNN is trained on."""

from __future__ import annotations

from typing import TypedDict

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from maskcast.core.errors import PromptError

OBJECT = 1
VOID = 255


class Target(TypedDict):
    """What torchvision's detectors expect of one frame."""

    boxes: Float[Tensor, "objects 4"]
    labels: Integer[Tensor, "objects"]
    masks: Integer[Tensor, "objects height width"]


def corners_of(region: Tensor) -> Float[Tensor, "4"] | None:
    """Return x and y of the first pixel set, and of one past the last; None if none is set."""
    rows = region.any(dim=1).nonzero()
    columns = region.any(dim=0).nonzero()
    if rows.numel() == 0:
        return None
    corners = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return torch.cat(corners).to(torch.float32)


def make_empty_target(label_map: Integer[Tensor, "height width"]) -> Target:
    """No object at all: all anchors and regions are background."""
    return Target(
        boxes=torch.zeros(0, 4, device=label_map.device),
        labels=torch.zeros(0, dtype=torch.int64, device=label_map.device),
        masks=torch.zeros(0, *label_map.shape, dtype=torch.uint8, device=label_map.device),
    )


def make_target(label_map: Integer[Tensor, "height width"]) -> Target:
    """Box, class and mask of the object in a label map of 0 (background), 1 and 255 (void).

    Void counts as object in the box. Where there is void, background is left out of the mask
    loss as well, so that only the object's own pixels supervise it.

    Raises:
        PromptError: the label map shows no object.
    """
    box = corners_of(label_map != 0)
    if box is None:
        raise PromptError("the mask is empty; a training frame must show the object")
    mask = (label_map == OBJECT).to(torch.uint8)
    if (label_map == VOID).any():
        mask = torch.where(mask == 0, torch.full_like(mask, VOID), mask)
    return Target(
        boxes=box[None],
        labels=torch.full((1,), OBJECT, dtype=torch.int64, device=label_map.device),
        masks=mask[None],
    )
