"""Masks as ``supervision.Detections``, for programs that use that library."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import astuple
from types import MappingProxyType
from typing import Any

import numpy as np

from maskcast.core.boxes import tight_box
from maskcast.core.errors import UsageError
from maskcast.core.types import ObjectMasks
from maskcast.io.annotations.categories import categories_of

NO_NAMES: Mapping[int, str] = MappingProxyType({})


def to_detections(masks: ObjectMasks, *, names: Mapping[int, str] = NO_NAMES) -> Any:
    """Return the objects that are visible in a frame as ``supervision.Detections``.

    ``tracker_id`` has the object ids, ``confidence`` the mean probability inside each mask,
    ``data["class_name"]`` the names, and ``class_id`` their order among all objects of ``masks``.

    Args:
        masks: result for one frame, as ``segment_video`` yields it.
        names: names of objects by id, such as those in ``objects.json``. Objects with the same name
            have the same class; those without one are of the class ``object``.

    Raises:
        UsageError: supervision is not installed.
    """
    try:
        supervision = importlib.import_module("supervision")
    except ModuleNotFoundError as error:
        if error.name != "supervision":
            raise
        raise UsageError("to_detections needs supervision: pip install supervision") from error
    label_map = masks.label_map().cpu().numpy()
    probs = masks.probs.float().cpu().numpy()
    categories = categories_of(masks.ids, names)
    shown = [
        (slot, i, label_map == i) for slot, i in enumerate(masks.ids) if (label_map == i).any()
    ]
    if not shown:
        return supervision.Detections.empty()
    boxes = [astuple(box) for *_, mask in shown if (box := tight_box(mask)) is not None]
    return supervision.Detections(
        xyxy=np.array([(x, y, x + width, y + height) for x, y, width, height in boxes]),
        mask=np.stack([mask for *_, mask in shown]),
        confidence=np.array([probs[slot][mask].mean() for slot, _, mask in shown]),
        class_id=np.array([categories.index(object_id) for _, object_id, _ in shown]),
        tracker_id=np.array([object_id for _, object_id, _ in shown]),
        data={"class_name": np.array([categories.by_object[i] for _, i, _ in shown])},
    )
