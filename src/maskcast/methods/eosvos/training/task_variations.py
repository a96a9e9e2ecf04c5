"""Harder meta tasks: options of the published training, all off by default.

The names in brackets are those of the published settings. The paper does not describe them, so
what they do here is our reading of the names. Every change applies to both frames of a task, so
that what the inner loop learns from one frame holds for the other.

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
    """Return the object of a task and each other object of its video with probability one half
    (random_object_id_sub_group); together they form the foreground."""
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
    """Return 1 on the objects of a group (on every object if None), 255 on void, 0 elsewhere."""
    members: tuple[int | None, ...] = (None,) if group is None else group
    masks = (object_mask(label_map, member, has_void=has_void) for member in members)
    return reduce(np.maximum, masks)


def flip_labels(labels: Sequence[BinaryMask]) -> list[BinaryMask]:
    """Swap object and background; void stays (random_flip_label).

    Nothing changes if a frame would be left without an object.
    """
    flipped = [np.where(label == VOID, label, OBJECT - label) for label in labels]
    return flipped if all((label == OBJECT).any() for label in flipped) else list(labels)


def draw_box_order(generator: torch.Generator) -> BoxOrder:
    """Draw which of (dx, dy, dw, dh) each output of the box head regresses
    (random_box_coord_perm)."""
    a, b, c, d = torch.randperm(4, generator=generator).tolist()
    return a, b, c, d


def paste_behind(
    frame: Picture,
    label: BinaryMask,
    other_frame: UInt8[np.ndarray, "other_height other_width 3"],
    other_label: UInt8[np.ndarray, "other_height other_width"],
) -> UInt8[np.ndarray, "height width 3"]:
    """Paste the object of another frame, stretched to the size of this one, behind the object
    (single_obj_seq_mode). It stays background in the label."""
    height, width = label.shape
    rows = np.arange(height) * other_label.shape[0] // height
    columns = np.arange(width) * other_label.shape[1] // width
    nearest = np.ix_(rows, columns)
    shown = (other_label[nearest] == OBJECT) & (label == 0)
    return np.where(shown[..., None], other_frame[nearest], frame)
