"""Run-length encoded masks as COCO has them: column by column, background first.

``{"size": [height, width], "counts": ...}`` with the counts as a list, or packed into a string.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pycocotools.mask
from jaxtyping import Bool

from maskcast.core.errors import PromptError

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
    size, counts = encoded.get("size"), encoded.get("counts")
    sides_fit = isinstance(size, Sequence) and len(size) == 2
    if not sides_fit or not all(isinstance(side, int) and 0 < side < 2**16 for side in size or ()):
        raise PromptError(f"a run-length mask needs a size [height, width], got {str(size)[:40]}")
    height, width = size or (0, 0)
    if isinstance(counts, str | bytes):
        runs = _unpack(counts.encode("latin1") if isinstance(counts, str) else counts)
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
