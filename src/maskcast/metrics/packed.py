"""Masks with 64 pixels packed into a word, so that one CPU operation processes 64 pixels.

    mask     height × width           bool
    packed   masks × rows × words     uint64; bit k of word w is column 64·w + k

Each row ends with at least ``reach`` zero bits of padding. A shift by up to ``reach`` columns moves
pixels into the padding and never into the next row, so all rows can be shifted as one long line.
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
Line: TypeAlias = UInt64[np.ndarray, " words"]


@dataclass(frozen=True)
class BitMasks:
    """Several masks of one size, cropped to the part of the image where any of them has pixels."""

    words: Words
    end: int
    """First bit of a row with no contour to its right: one past the last set pixel, or that pixel
    if it touches the image border."""

    def clear_from_end(self, words: Words) -> None:
        """Clear the bits of each row from ``end`` on, in place."""
        word, bit = divmod(self.end, WORD)
        words[:, :, word] &= np.uint64((1 << bit) - 1)
        words[:, :, word + 1 :] = 0


def pack(masks: Sequence[Bool[np.ndarray, "height width"]], reach: int) -> BitMasks:
    """Pack masks, cropped to their union with a margin of a pixel above and to the left.

    Args:
        masks: masks of one size.
        reach: largest shift along a row that will be used, in pixels; 1 for contours.
    """
    height, width = masks[0].shape
    used = -(-width // WORD)
    packed = np.zeros((len(masks), height, 8 * (used + -(-reach // WORD))), np.uint8)
    for plane, mask in zip(packed, masks, strict=True):
        plane[:, : -(-width // 8)] = np.packbits(mask, axis=1, bitorder="little")
    words = packed.view("<u8")
    union = np.bitwise_or.reduce(words, axis=0)
    rows = np.flatnonzero(union.any(axis=1))
    if not rows.size:
        return BitMasks(np.zeros((len(masks), 0, 1), np.uint64), 0)
    column_words = np.bitwise_or.reduce(union[rows[0] : rows[-1] + 1], axis=0)
    columns = np.flatnonzero(column_words)
    first, last = int(columns[0]), int(columns[-1])
    left = max(first - int(column_words[first] & 1), 0)
    last_pixel = WORD * (last - left) + int(column_words[last]).bit_length() - 1
    right = left + (last_pixel + reach) // WORD + 1
    top, bottom = max(int(rows[0]) - 1, 0), min(int(rows[-1]) + 2, height)
    cut = np.ascontiguousarray(words[:, top:bottom, left:right], dtype=np.uint64)
    is_at_border = last_pixel + WORD * left == width - 1
    return BitMasks(cut, last_pixel + (0 if is_at_border else 1))


def count(words: Words) -> tuple[int, ...]:
    """Return the number of pixels of each mask."""
    bits = np.bitwise_count(words).reshape(len(words), -1)
    return tuple(int(total) for total in bits.sum(axis=1, dtype=np.uint32))


def from_the_right(words: Words) -> Words:
    """Replace each pixel by its right neighbour; a row's last bit comes from the next row."""
    moved: Words = words >> 1
    moved.reshape(-1)[:-1] |= words.reshape(-1)[1:] << (WORD - 1)
    return moved


def dilated(words: Words, radius: int) -> Words:
    """Dilate by a disk, all pixels (x, y) with x² + y² ≤ radius².

    From the narrowest row of the disk to the widest, pixels are widened along the row and then
    combined with the rows above and below. Pixels outside the cropped part are lost.
    """
    rows = words.shape[1]
    wide, grown = words.copy(), np.zeros_like(words)
    wider, scratch = np.empty_like(words), np.empty_like(words)
    half_width = 0
    for distance in range(radius, -1, -1):
        target = isqrt(radius**2 - distance**2)
        while half_width < target:
            step = min(target - half_width, 2 * half_width + 1, WORD - 1)  # leaves no gap
            _widen(wide.reshape(-1), step, wider.reshape(-1), scratch.reshape(-1))
            wide, wider = wider, wide
            half_width += step
        if distance < rows:
            grown[:, distance:] |= wide[:, : rows - distance]
            grown[:, : rows - distance] |= wide[:, distance:]
    return grown


def _widen(line: Line, columns: int, wider: Line, scratch: Line) -> None:
    """Write to ``wider`` the union of ``line`` and ``line`` shifted by ``columns`` to either side.

    ``scratch`` is overwritten; allocating new arrays would take 10 % longer.
    """
    np.left_shift(line, columns, out=wider)
    wider |= line
    np.right_shift(line, columns, out=scratch)
    wider |= scratch
    np.right_shift(line[:-1], WORD - columns, out=scratch[1:])  # across word boundaries
    wider[1:] |= scratch[1:]
    np.left_shift(line[1:], WORD - columns, out=scratch[:-1])
    wider[:-1] |= scratch[:-1]
