"""Variations of meta tasks: options of the published training, all off by default.

The names in brackets are those of the published settings. The paper does not describe them, so
their effect here is our interpretation of the names. Every change applies to both frames of a task,
so that the memory frame remains informative about the query frame.

    frame    height × width × 3   uint8 RGB
    label    height × width       uint8: 1 object, 0 background, 255 void
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import torch
from jaxtyping import Integer, UInt8

from maskcast.core.arrays import Picture
from maskcast.data.clips import BinaryMask, object_mask
from maskcast.methods.eosvos.network import BoxOrder
from maskcast.methods.eosvos.targets import OBJECT, VOID


def draw_group(
    object_id: int, objects: Sequence[int | None], generator: torch.Generator
) -> tuple[int, ...]:
    """Return the object of a task, and each other object of its video with probability 0.5.

    Together they form the foreground (random_object_id_sub_group).
    """
    others = [other for other in objects if other not in (object_id, None)]
    chosen = torch.rand(len(others), generator=generator) < 0.5
    return (
        object_id,
        *(other for other, joins in zip(others, chosen, strict=True) if joins and other),
    )


def group_mask(
    label_map: Integer[np.ndarray, "height width"],
    group: tuple[int, ...] | None,
    *,
    has_void: bool,
) -> BinaryMask:
    """Return 1 on the objects of a group (on all objects if None), 255 on void, 0 elsewhere."""
    members: tuple[int | None, ...] = (None,) if group is None else group
    masks = (object_mask(label_map, member, has_void=has_void) for member in members)
    return reduce(np.maximum, masks)


def flip_labels(labels: Sequence[BinaryMask]) -> list[BinaryMask]:
    """Swap object and background, but not void (random_flip_label).

    The labels are unchanged if a frame would have no object afterwards.
    """
    flipped = [np.where(label == VOID, label, OBJECT - label) for label in labels]
    return flipped if all((label == OBJECT).any() for label in flipped) else list(labels)


def draw_box_order(generator: torch.Generator) -> BoxOrder:
    """Draw the order in which the box head regresses (dx, dy, dw, dh) (random_box_coord_perm)."""
    a, b, c, d = torch.randperm(4, generator=generator).tolist()
    return a, b, c, d


def paste_behind(
    frame: Picture,
    label: BinaryMask,
    other_frame: UInt8[np.ndarray, "other_height other_width 3"],
    other_label: UInt8[np.ndarray, "other_height other_width"],
) -> UInt8[np.ndarray, "height width 3"]:
    """Paste the object of another frame, resized to this one, behind the object.

    The pasted object is background in the label (single_obj_seq_mode).
    """
    height, width = label.shape
    rows = np.arange(height) * other_label.shape[0] // height
    columns = np.arange(width) * other_label.shape[1] // width
    nearest = np.ix_(rows, columns)
    shown = (other_label[nearest] == OBJECT) & (label == 0)
    return np.where(shown[..., None], other_frame[nearest], frame)
