"""Measure the objects in a frame: area, confidence, presence."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from maskcast.core.types import ObjectMasks
from maskcast.runs.masks import FoundObject


def measure_objects(
    label_map: Int[np.ndarray, "height width"], masks: ObjectMasks
) -> dict[int, FoundObject]:
    """Return area, confidence and presence of each object, by id.

    Args:
        label_map: object ids of the pixels, which decide the areas.
        masks: the soft masks; the confidence is their mean over an object's pixels.
    """
    objects: dict[int, FoundObject] = {}
    presence = _numbers(masks.presence, count=len(masks.ids))
    soft_masks = masks.probs.float().cpu().numpy()
    for object_id, soft, visible in zip(masks.ids, soft_masks, presence, strict=True):
        inside = label_map == object_id
        area = int(inside.sum())
        confidence = round(float(soft[inside].mean(dtype=np.float64)), 5) if area else None
        objects[object_id] = FoundObject(area, confidence, visible)
    return objects


def _numbers(presence: Float[Tensor, "objects"] | None, *, count: int) -> list[float | None]:
    """Return the presence of each object, rounded; None for each if the method predicts none."""
    if presence is None:
        return [None] * count
    return [round(value, 5) for value in presence.float().tolist()]
