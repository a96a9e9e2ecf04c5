"""Convert the label map of one object into a training target of Mask R-CNN."""

from __future__ import annotations

from typing import TypedDict

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from maskcast.core.errors import PromptError

OBJECT = 1
VOID = 255


class Target(TypedDict):
    """The target of one frame in the format of torchvision's detectors."""

    boxes: Float[Tensor, "objects 4"]
    labels: Integer[Tensor, "objects"]
    masks: Integer[Tensor, "objects height width"]


def corners_of(region: Tensor) -> Float[Tensor, "4"] | None:
    """Return x1, y1, x2, y2 of the set pixels, x2 and y2 exclusive; None if no pixel is set."""
    rows = region.any(dim=1).nonzero()
    columns = region.any(dim=0).nonzero()
    if rows.numel() == 0:
        return None
    corners = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    return torch.cat(corners).to(torch.float32)


def make_empty_target(label_map: Integer[Tensor, "height width"]) -> Target:
    """Return a target without objects, for which all anchors and regions are background."""
    return Target(
        boxes=torch.zeros(0, 4, device=label_map.device),
        labels=torch.zeros(0, dtype=torch.int64, device=label_map.device),
        masks=torch.zeros(0, *label_map.shape, dtype=torch.uint8, device=label_map.device),
    )


def make_target(label_map: Integer[Tensor, "height width"]) -> Target:
    """Return box, class and mask of the object in a label map of 0 (background), 1 and 255 (void).

    The box includes void. If there is void, background does not count in the mask loss either, so
    only the object's pixels do.

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
