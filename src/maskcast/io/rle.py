"""Run-length encoded masks in COCO's format: column by column, background first.

``{"size": [height, width], "counts": ...}`` with the counts as a list or compressed into a string.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pycocotools.mask
from jaxtyping import Bool, Int64

from maskcast.core.errors import PromptError
from maskcast.io.pictures import LARGEST_PICTURE

_OFFSET, _MORE, _SIGN = 48, 0x20, 0x10  # COCO's compression: five bits per character, from "0" on
_LONGEST = 12  # most characters of one number, so that it fits into 64 bits


def encode_mask(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    """Encode a mask; the counts are a compressed string, ready for JSON."""
    encoded = pycocotools.mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    height, width = mask.shape
    return {"size": [height, width], "counts": encoded["counts"].decode("ascii")}


def decode_mask(encoded: Mapping[str, Any]) -> Bool[np.ndarray, "height width"]:
    """Decode an untrusted mask of either form.

    Raises:
        PromptError: size or counts are missing, malformed, or do not add up to the picture.
    """
    height, width = checked_size(encoded.get("size"))
    runs = run_lengths(encoded.get("counts"), height * width)
    if runs is None:
        raise PromptError(
            f"the run lengths of a mask do not add up to its {height}×{width} pixels; the encoding "
            "is damaged"
        )
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def run_lengths(counts: Any, pixels: int) -> Int64[np.ndarray, " runs"] | None:
    """Return the run lengths, background first; None if they do not add up to ``pixels``.

    Memory use is proportional to ``pixels``, even if ``counts`` is malicious.

    Raises:
        PromptError: ``counts`` is a string with characters that COCO does not use.
    """
    if isinstance(counts, str):
        counts = counts.encode("utf-8", "surrogatepass")
    if isinstance(counts, bytes):
        if len(counts) > 2 * pixels + 64:  # longer than any valid string for these pixels
            return None
        runs = _unpack(counts)
    else:
        listed = counts if isinstance(counts, list) else []
        if not all(isinstance(run, int) and 0 <= run <= pixels for run in listed):
            return None
        runs = np.array(listed, np.int64)
    in_range = runs.min(initial=0) >= 0 and runs.max(initial=0) <= pixels
    return runs if in_range and runs.sum() == pixels else None


def checked_size(size: Any) -> tuple[int, int]:
    """Return (height, width) from the value in a file.

    Raises:
        PromptError: the value is not a pair of positive integers, or is too large for a picture.
    """
    sides = isinstance(size, list | tuple) and len(size) == 2
    if not sides or not all(type(side) is int and 0 < side <= LARGEST_PICTURE for side in size):
        raise PromptError(f"the size of a mask must be [height, width], got {str(size)[:40]}")
    height, width = size
    if height * width > LARGEST_PICTURE:
        raise PromptError(f"a mask may have at most {LARGEST_PICTURE} pixels, got {height}×{width}")
    return height, width


def _unpack(packed: bytes) -> Int64[np.ndarray, " runs"]:
    """Decompress COCO's string: low bits first; from the fourth run on it holds differences."""
    codes = np.frombuffer(packed, np.uint8).astype(np.int64) - _OFFSET
    if not codes.size:
        return codes
    last = np.flatnonzero((codes & _MORE) == 0)  # last character of each number
    first = np.concatenate([[0], last[:-1] + 1])
    lengths = last - first + 1 if last.size else last
    unfinished = not last.size or last[-1] != codes.size - 1
    if codes.min() < 0 or codes.max() >= 64 or unfinished or lengths.max() > _LONGEST:
        raise PromptError("the run lengths of a mask contain characters that COCO does not use")
    digit = np.arange(codes.size) - np.repeat(first, lengths)
    numbers = np.add.reduceat((codes & 0x1F) << (5 * digit), first)
    numbers -= np.where(codes[last] & _SIGN, np.int64(1) << (5 * lengths), 0)
    for start in (1, 2):  # each number is the difference from the run two before it
        numbers[start::2] = np.cumsum(numbers[start::2])
    return numbers
