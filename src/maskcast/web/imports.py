"""Add marks that were read from files to a document. Imports no torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from maskcast.core.arrays import MaskArray
from maskcast.web.document import Document
from maskcast.web.messages import MasksRead
from maskcast.web.project import Project
from maskcast.web.renames import Renamed


def imported(project: Project, read: MasksRead) -> Document:
    """Return the document with imported marks; objects are added as needed."""
    document = project.document
    known = {o.id for o in document.objects}
    ids = {i for marks in (*read.masks.values(), *read.values.values()) for i in marks}
    for object_id in sorted(ids - known):
        document = document.with_object(project.object_of(object_id))
    for frame, masks in read.masks.items():
        unpacked_masks = {i: unpacked(bits, project.size) for i, bits in masks.items()}
        if unpacked_masks:
            document = project.with_masks(document, frame, unpacked_masks)
    for frame, values in read.values.items():
        if values:
            document = document.with_prompts(frame, dict(values))
    for frame, object_id in read.ends:
        document = document.with_end(frame, object_id)
    renames = {Renamed(*renamed) for renamed in read.renames}
    return replace(document, renames=document.renames | renames) if renames else document


def unpacked(bits: bytes, size: tuple[int, int]) -> MaskArray:
    """Return the mask of height × width that was sent as bits."""
    flat: UInt8[np.ndarray, "pixels"] = np.frombuffer(bits, dtype=np.uint8)
    mask: MaskArray = np.unpackbits(flat, count=size[0] * size[1]).reshape(size).astype(bool)
    return mask
