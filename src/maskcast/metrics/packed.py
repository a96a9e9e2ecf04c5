"""Masks with 64 pixels in a word, so that one operation of the processor treats 64 pixels.

    mask     height × width           bool
    packed   masks × rows × words     uint64; bit k of word w is column 64·w + k

Each row ends in spare words of zeros. A shift by up to ``reach`` columns spills into them and never
into a pixel of the next row, so a shift along the rows is one shift of the whole memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, UInt64

WORD = 64

Words: TypeAlias = UInt64[np.ndarray, "masks rows words"]


@dataclass(frozen=True)
class PackedMasks:
    """Several masks of one size, cut to the part of the image in which any of them has pixels."""

    words: Words
    last_column: int | None
    """Bit in a row at which the image ends, if the part reaches that far."""
    spare: int
    """Words of zeros at the end of each row."""

    def clear_from_last_column(self, words: Words) -> None:
        """Remove, in place, what lies in the last column of the image and beyond it."""
        words[:, :, -self.spare :] = 0
        if self.last_column is not None:
            word, bit = divmod(self.last_column, WORD)
            words[:, :, word] &= np.uint64((1 << bit) - 1)


def pack(masks: Sequence[Bool[np.ndarray, "height width"]], reach: int) -> PackedMasks:
    """Pack masks, cut to what any of them covers and one pixel more above and to the left.

    Args:
        masks: masks of one size.
        reach: the farthest shift along a row that will be asked for.
    """
    height, width = masks[0].shape
    used = -(-width // WORD)
    spare = reach // WORD + 1
    packed = np.zeros((len(masks), height, 8 * (used + spare)), np.uint8)
    for plane, mask in zip(packed, masks, strict=True):
        plane[:, : -(-width // 8)] = np.packbits(mask, axis=1, bitorder="little")
    words = packed.view("<u8")
    union = np.bitwise_or.reduce(words, axis=0)
    rows = np.flatnonzero(np.bitwise_or.reduce(union, axis=1))
    columns = np.flatnonzero(np.bitwise_or.reduce(union, axis=0))
    if not rows.size:
        return PackedMasks(np.zeros((len(masks), 0, spare), np.uint64), None, spare)
    top, bottom = max(int(rows[0]) - 1, 0), min(int(rows[-1]) + 2, height)
    left, right = max(int(columns[0]) - 1, 0), int(columns[-1]) + 1 + spare
    last_column = width - 1 - WORD * left
    cut = np.ascontiguousarray(words[:, top:bottom, left:right], dtype=np.uint64)
    return PackedMasks(cut, last_column if right > used else None, spare)


def count(words: Words) -> tuple[int, ...]:
    """Return the number of pixels of each mask."""
    return tuple(int(total) for total in np.bitwise_count(words).sum(axis=(1, 2), dtype=np.int64))


def shifted(words: Words, columns: int) -> Words:
    """Move every pixel to the right by ``columns`` (to the left if negative)."""
    moved = np.zeros_like(words)
    _add_shifted(moved.reshape(-1), words.reshape(-1), columns)
    return moved


def dilated(words: Words, radius: int) -> Words:
    """Grow by a disk, all pixels (x, y) with x² + y² ≤ radius².

    From the narrow rows of the disk to its wide ones, the pixels are widened along the row and then
    laid over the rows above and below; what leaves the part that was cut out is lost.
    """
    rows = words.shape[1]
    wide, grown = words.copy(), np.zeros_like(words)
    half_width = 0
    for distance in range(radius, -1, -1):
        target = isqrt(radius**2 - distance**2)
        while half_width < target:
            step = min(target - half_width, 2 * half_width + 1)  # leaves no gap in between
            before = wide.copy()
            _add_shifted(wide.reshape(-1), before.reshape(-1), step)
            _add_shifted(wide.reshape(-1), before.reshape(-1), -step)
            half_width += step
        if distance < rows:
            grown[:, distance:] |= wide[:, : rows - distance]
            grown[:, : rows - distance] |= wide[:, distance:]
    return grown


def _add_shifted(
    target: UInt64[np.ndarray, " words"], flat: UInt64[np.ndarray, " words"], columns: int
) -> None:
    """Add to ``target``, in place, the pixels of ``flat`` moved by ``columns``."""
    whole, bits = divmod(abs(columns), WORD)
    length = flat.size - whole
    if columns >= 0:
        target[whole:] |= flat[:length] << bits
        if bits:
            target[whole + 1 :] |= flat[: length - 1] >> (WORD - bits)
    else:
        target[:length] |= flat[whole:] >> bits
        if bits:
            target[: length - 1] |= flat[whole + 1 :] << (WORD - bits)
