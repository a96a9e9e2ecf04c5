"""Run-length encoded masks as COCO has them: column by column, background first.

``{"size": [height, width], "counts": ...}`` with the counts as a list, or packed into a string.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pycocotools.mask
from jaxtyping import Bool

from maskcast.core.errors import PromptError
from maskcast.io.label_maps import LARGEST_PICTURE

_OFFSET, _MORE, _SIGN = 48, 0x20, 0x10  # COCO's packing: five bits a character, from "0" on


def encode_mask(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    """Encode one object's mask; the counts are a string, ready for JSON."""
    encoded = pycocotools.mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    height, width = mask.shape
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}


def decode_mask(encoded: Mapping[str, Any]) -> Bool[np.ndarray, "height width"]:
    """Decode a mask of either form; everything is checked, for it may come from anywhere.

    Raises:
        PromptError: size or counts are missing, malformed, or do not fill the picture.
    """
    height, width = checked_size(encoded.get("size"))
    counts = encoded.get("counts")
    if isinstance(counts, str | bytes):
        runs = _unpack(
            counts.encode("utf-8", "surrogatepass") if isinstance(counts, str) else counts
        )
    else:
        runs = counts if isinstance(counts, list) else []
    whole = all(isinstance(run, int) and run >= 0 for run in runs)
    if not whole or sum(runs) != height * width:
        raise PromptError(
            f"the run lengths of a mask do not add up to its {height}×{width} pixels; "
            "the encoding is damaged"
        )
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def checked_size(size: Any) -> tuple[int, int]:
    """Return (height, width) as a file states it.

    Raises:
        PromptError: it is not two whole numbers from 1 on, or larger than any picture.
    """
    sides = isinstance(size, list | tuple) and len(size) == 2
    if not sides or not all(type(side) is int and 0 < side <= LARGEST_PICTURE for side in size):
        raise PromptError(f"a mask needs a size [height, width], got {str(size)[:40]}")
    height, width = size
    if height * width > LARGEST_PICTURE:
        raise PromptError(f"a mask of {height}×{width} pixels is larger than any picture; refused")
    return height, width


def _unpack(packed: bytes) -> list[int]:
    """Unpack COCO's string: low bits first, and from the fourth run on differences."""
    runs: list[int] = []
    value = shift = 0
    for character in packed:
        bits = character - _OFFSET
        if not 0 <= bits < 64 or shift > 60:
            raise PromptError("the run lengths of a mask hold characters that COCO does not use")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & _MORE:
            continue
        if bits & _SIGN:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))  # to the run two before
        value = shift = 0
    return runs
