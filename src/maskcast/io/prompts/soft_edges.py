"""Find the levels of a painted mask that are only soft edges, and give their pixels to an object.

A level is a grey value or a colour. A *flat* level covers at least one block of 3 × 3 pixels. The
pixels of another level are an edge if they lie within ``REACH`` pixels of a border between two flat
levels and their colour lies between the colours of these two. Each goes to the flat level whose
colour is nearer. All other levels stay what they are: objects.

    codes      height × width      index of the level of each pixel
    colours    levels × channels   colour of each level, 0..255 per channel
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import combinations, product
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

Codes: TypeAlias = Int[np.ndarray, "height width"]
Colours: TypeAlias = Float[np.ndarray, "levels channels"]

REACH = 2
"""Maximum distance in pixels of an edge pixel from the border; a band is twice as wide."""
TOLERANCE = 12.0
"""Maximum distance per channel of a colour from the line between two others, to lie between."""
SMALLEST = 8
"""Minimum side of a picture in pixels; in smaller ones every level counts as flat."""
MOST_LEVELS = 4096
"""Maximum number of levels that are examined; more come from a photograph."""
MOST_FLAT = 64
"""Maximum number of flat levels for which edges are searched."""
MOST_SOFT = 0.25
"""Maximum share of the pixels outside flat levels; more come from dithering or a photograph."""
ESTABLISHED = 2
"""Edge levels from which a border counts as soft, so that lone pixels on it are edges too."""
MOST_CORNERS = 20_000
"""Maximum number of pixels of one level that are looked for where three levels meet."""
MOST_REPEATED = 4
"""Minimum ratio of the pixels of an enlarged picture to those before."""
LEAST_ENLARGED = 4
"""Minimum number of edge levels of an enlarged soft mask; objects beside each other have fewer."""
LEAST_INTERPOLATED = 16
"""Minimum number of pixels on a border that is taken for interpolated."""

_FAR = 9


@dataclass(frozen=True)
class Settled:
    """A mask without soft edges."""

    codes: Codes
    moved: int = 0
    """Number of pixels that were given to another level."""
    levels: int = 0
    """Number of levels that these pixels had."""
    unclear: int = 0
    """Number of pixels that are soft but belong to no level in particular."""


def settle_edges(codes: Codes, colours: Colours) -> Settled:
    """Assign the pixels of soft edges to the adjacent flat levels."""
    if min(codes.shape) < SMALLEST or len(colours) < 3:
        return Settled(codes)
    is_flat = np.zeros(len(colours), bool)
    is_flat[np.unique(codes[solid_pixels(codes)])] = True
    soft = ~is_flat[codes]
    if not soft.any():
        return Settled(codes, unclear=_enlarged_pixels(codes, colours))
    soft_pixels, flat_levels = int(soft.sum()), int(is_flat.sum())
    if not 1 <= flat_levels <= MOST_FLAT or len(colours) > MOST_LEVELS:
        return Settled(codes, unclear=soft_pixels)
    if soft_pixels > MOST_SOFT * codes.size:
        return Settled(codes, unclear=soft_pixels)
    return _Edges(codes, colours, is_flat, soft).settle()


def _enlarged_pixels(codes: Codes, colours: Colours) -> int:
    """Return the number of pixels of soft edges in a picture that was enlarged without smoothing.

    Every level is flat there. In the size that it had before, the edges show again.
    """
    rows = _rows_before(np.asarray(np.diff(codes, axis=0, prepend=-1).any(axis=1)))
    columns = _rows_before(np.asarray(np.diff(codes, axis=1, prepend=-1).any(axis=0)))
    if len(rows) * len(columns) > codes.size // MOST_REPEATED:
        return 0
    settled = settle_edges(codes[np.ix_(rows, columns)], colours)
    return settled.moved if settled.levels >= LEAST_ENLARGED else 0


def _rows_before(is_new: Bool[np.ndarray, " rows"]) -> Int[np.ndarray, " fewer"]:
    """Return rows that restore a picture whose rows were repeated; all if they were not."""
    starts = np.flatnonzero(is_new)
    lengths = np.diff(starts, append=len(is_new))
    factor = lengths[lengths <= 1.5 * lengths.min()].mean()
    return np.repeat(starts, np.maximum(1, np.rint(lengths / factor).astype(int)))


def solid_pixels(codes: Codes) -> Bool[np.ndarray, "height width"]:
    """Return the pixels whose 3 × 3 neighbourhood has one level; the border is repeated outside."""
    height, width = codes.shape
    padded = np.pad(codes, 1, mode="edge")
    rows = (padded[:-2] == padded[1:-1]) & (padded[2:] == padded[1:-1])
    middle = padded[1:-1]
    same = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
    across = (middle[:, :-2] == middle[:, 1:-1]) & (middle[:, 2:] == middle[:, 1:-1])
    solid: Bool[np.ndarray, "height width"] = (same & across)[:height, :width]
    return solid


def interpolated_pixels(codes: Codes, values: Int[np.ndarray, " levels"]) -> int:
    """Return the number of pixels that look as if a picture of ids had been resized smoothly.

    Such a resizing leaves ids 1 and 2 on a border between 0 and 3. These levels are flat elsewhere,
    so they are no edges. A border is taken for interpolated if pixels with values
    between those of its sides, far from other pixels of their own level, are more than the pixels
    where both sides touch.
    """
    if min(codes.shape) < SMALLEST or not 3 <= len(values) <= MOST_FLAT:
        return 0
    blocks = _blocks(codes)
    rows, columns = np.nonzero(~_near_own(codes, blocks))
    if not MOST_SOFT * codes.size >= len(rows) >= LEAST_INTERPOLATED:
        return 0
    flat = np.unique(blocks[blocks >= 0])
    distances = _measured(blocks, flat, rows, columns)
    levels = np.where(np.isin(codes[rows, columns], flat), codes[rows, columns], -1)
    interpolated = np.zeros(len(levels), bool)
    for a, b in combinations(range(len(flat)), 2):
        between = (levels > flat[a]) & (levels < flat[b])  # codes are in the order of the values
        near = distances[:, a] + distances[:, b] <= 2 * REACH + 1
        touching = _touching(codes, int(flat[a]), int(flat[b]))
        if (between & near).sum() >= max(LEAST_INTERPOLATED, touching):
            interpolated |= between & near
    return int(interpolated.sum())


class _Edges:
    """The pixels outside flat levels, with their distances from the flat levels around them."""

    def __init__(
        self,
        codes: Codes,
        colours: Colours,
        is_flat: Bool[np.ndarray, " levels"],
        soft: Bool[np.ndarray, "height width"],
    ) -> None:
        self.codes, self.colours = codes, colours
        self.is_flat, self.soft = is_flat, soft
        self.flat = np.flatnonzero(is_flat)
        self.rows, self.columns = np.nonzero(soft)
        self.levels = codes[self.rows, self.columns]
        self.distances = self._distances(self.rows, self.columns)
        self.first, self.second = np.triu_indices(len(self.flat), 1)
        self.start = colours[self.flat[self.first]]
        self.line = colours[self.flat[self.second]] - self.start
        self.target = np.full(len(self.levels), -1)
        self.established: Counter[tuple[int, int]] = Counter()
        """Number of edge levels between two flat levels, given by their positions in ``flat``."""

    def settle(self) -> Settled:
        """Find the edges, then what belongs to them, and return the result."""
        order = np.argsort(self.levels, kind="stable")
        starts = np.flatnonzero(np.diff(self.levels[order], prepend=-1))
        groups = np.split(order, starts[1:])
        rest = [group for group in groups if not self._settle_level(group)]
        mixed = self._mixed()
        unclear = 0
        for group in rest:
            unclear += self._settle_rest(group, mixed)
        if len(self.flat) < 2 and len({int(self.levels[i]) for i in np.flatnonzero(mixed)}) > 2:
            unclear += int(mixed.sum())
        return self._result(unclear)

    def _settle_level(self, pixels: Int[np.ndarray, " pixels"]) -> bool:
        """Settle a level whose pixels all lie on borders; return whether it is one."""
        targets = np.full(len(pixels), -1)
        pairs = self._pairs_around(int(self.levels[pixels[0]]))
        for a, b, nearer in pairs:
            beside = self._beside(pixels, a, b) & (targets < 0)
            targets[beside] = nearer
        if (targets < 0).any():
            self._settle_corners(pixels, targets)
        self.target[pixels] = targets
        if (targets < 0).any():
            return False
        used = next((pair for pair in pairs if self._beside(pixels, *pair[:2]).all()), None)
        if used is not None:
            self.established[used[0], used[1]] += 1
        return True

    def _pairs_around(self, level: int) -> list[tuple[int, int, int]]:
        """Return the pairs of flat levels between which a colour lies, the best fit first.

        Each is given by two positions in ``flat`` and the level whose colour is nearer.
        """
        step = self.colours[level] - self.start
        share = (step * self.line).sum(axis=1) / (self.line**2).sum(axis=1).clip(1e-9)
        off = np.abs(step - share[:, None] * self.line).max(axis=1, initial=0)
        between = np.flatnonzero((share > 0) & (share < 1) & (off <= TOLERANCE))
        between = between[np.argsort(off[between], kind="stable")]
        nearer = np.where(share < 0.5, self.flat[self.first], self.flat[self.second])
        return [(int(self.first[i]), int(self.second[i]), int(nearer[i])) for i in between]

    def _beside(self, pixels: Int[np.ndarray, " pixels"], a: int, b: int) -> Bool[np.ndarray, " n"]:
        near = self.distances[pixels, a] + self.distances[pixels, b] <= 2 * REACH + 1
        return np.asarray(near)

    def _settle_corners(
        self, pixels: Int[np.ndarray, " pixels"], targets: Int[np.ndarray, " pixels"]
    ) -> None:
        """Settle pixels where three flat levels meet, whose colour is a mixture of all of them."""
        colour = self.colours[self.levels[pixels[0]]]
        unsettled = np.flatnonzero(targets < 0)[:MOST_CORNERS]
        near = self.distances[pixels[unsettled]] <= 2 * REACH
        colours = self.colours[self.flat]
        low = np.where(near[:, :, None], colours, np.inf).min(axis=1)
        high = np.where(near[:, :, None], colours, -np.inf).max(axis=1)
        inside = ((colour >= low - TOLERANCE) & (colour <= high + TOLERANCE)).all(axis=1)
        inside &= near.sum(axis=1) >= 3
        off = np.where(near, np.abs(colours - colour).sum(axis=1), np.inf)
        targets[unsettled[inside]] = self.flat[off.argmin(axis=1)[inside]]

    def _mixed(self) -> Bool[np.ndarray, " soft"]:
        """Return which pixels touch a pixel of another level that is not flat either."""
        padded = np.pad(np.where(self.soft, self.codes, -1), 1, constant_values=-1)
        mixed = np.zeros(len(self.levels), bool)
        for dy, dx in product((0, 1, 2), repeat=2):
            other = padded[self.rows + dy, self.columns + dx]
            mixed |= (other >= 0) & (other != self.levels)
        return mixed

    def _settle_rest(
        self, pixels: Int[np.ndarray, " pixels"], mixed: Bool[np.ndarray, " soft"]
    ) -> int:
        """Settle a level of which some pixels lie on no border; return how many are unclear.

        Where a border is soft, a thin part of it has pixels whose second flat level is too far
        away. They touch pixels of other levels; an object of its own does not.
        """
        if not self._soft_pairs():
            self.target[pixels] = -1
            return 0
        level, is_mixed = int(self.levels[pixels[0]]), mixed[pixels]
        pairs = [pair for pair in self._pairs_around(level) if pair[:2] in self._soft_pairs()]
        self.target[pixels[~is_mixed]] = -1
        left = pixels[is_mixed & (self.target[pixels] < 0)]
        near = self.distances[left] <= REACH
        closest, off = self._nearest_in_colour(level, near)
        option, unclear = np.full(len(left), -1), np.zeros(len(left), bool)
        best = np.full(len(left), np.inf)
        for a, b, nearer in pairs:
            possible = near[:, a] | near[:, b]
            unclear |= possible & (option >= 0) & (option != nearer)
            option[possible] = nearer
            best[possible] = np.minimum(best[possible], self._off(level, np.array([nearer])))
        closer = (option >= 0) & (off <= best)  # a sharpened edge goes beyond the colour beside it
        option[closer], unclear[closer] = closest[closer], False
        self.target[left[~unclear]] = option[~unclear]
        open_pixels = is_mixed & (self.target[pixels] < 0)
        return int(open_pixels.sum()) if 2 * is_mixed.sum() > len(pixels) else 0

    def _nearest_in_colour(
        self, level: int, near: Bool[np.ndarray, "pixels flat"]
    ) -> tuple[Int[np.ndarray, " pixels"], Float[np.ndarray, " pixels"]]:
        """Return, of the flat levels near each pixel, the one of the nearest colour, and how far
        it is."""
        off = np.where(near, self._off(level, self.flat), np.inf)
        return self.flat[off.argmin(axis=1)], off.min(axis=1)

    def _off(self, level: int, others: Int[np.ndarray, " others"]) -> Float[np.ndarray, " others"]:
        """Return the distance of the colour of a level from those of others."""
        return np.asarray(np.abs(self.colours[others] - self.colours[level]).sum(axis=1))

    def _soft_pairs(self) -> list[tuple[int, int]]:
        """Return the pairs of flat levels whose border is known to be soft."""
        return [pair for pair, count in self.established.items() if count >= ESTABLISHED]

    def _result(self, unclear: int) -> Settled:
        settled = self.codes.copy()
        moved = self.target >= 0
        settled[self.rows[moved], self.columns[moved]] = self.target[moved]
        stray = self._settle_strays(settled)
        levels = len(np.unique(self.levels[moved]))
        return Settled(settled, int(moved.sum()) + stray, levels, unclear)

    def _settle_strays(self, settled: Codes) -> int:
        """Settle lone pixels on soft borders whose colour happens to be that of a third flat level.

        Returns:
            the number of pixels.
        """
        soft_pairs = self._soft_pairs()
        if not soft_pairs or len(self.flat) < 3:
            return 0
        beside = np.zeros(self.codes.shape, bool)
        beside[self.rows, self.columns] = True
        rows, columns = np.nonzero(_grown(beside, 1) & self.is_flat[self.codes])
        levels, distances = self.codes[rows, columns], self._solid_distances(rows, columns)
        count = 0
        for a, b in soft_pairs:
            near = distances[:, a] + distances[:, b] <= 2 * REACH + 1
            for position, level in enumerate(self.flat):
                pair = next((p for p in self._pairs_around(int(level)) if p[:2] == (a, b)), None)
                if pair is None:
                    continue
                lone = near & (levels == level) & (distances[:, position] > REACH)
                settled[rows[lone], columns[lone]] = pair[2]
                count += int(lone.sum())
        return count

    def _distances(
        self, rows: Int[np.ndarray, " pixels"], columns: Int[np.ndarray, " pixels"]
    ) -> UInt8[np.ndarray, "pixels flat"]:
        """Return the distance of pixels from the nearest pixel of each flat level, up to 4."""
        flat_codes = np.where(self.is_flat[self.codes], self.codes, -1)
        return _measured(flat_codes, self.flat, rows, columns)

    def _solid_distances(
        self, rows: Int[np.ndarray, " pixels"], columns: Int[np.ndarray, " pixels"]
    ) -> UInt8[np.ndarray, "pixels flat"]:
        """Return the distance of pixels from the nearest 3 × 3 block of each flat level."""
        return _measured(_blocks(self.codes), self.flat, rows, columns)


def _measured(
    flat_codes: Codes,
    flat: Int[np.ndarray, " flat"],
    rows: Int[np.ndarray, " pixels"],
    columns: Int[np.ndarray, " pixels"],
) -> UInt8[np.ndarray, "pixels flat"]:
    """Return the distance of pixels from the nearest pixel of each flat level, up to 4, or 9."""
    farthest = 2 * REACH
    position = np.full(max(int(flat_codes.max()), int(flat.max(initial=0))) + 2, len(flat))
    position[flat] = np.arange(len(flat))
    padded = np.pad(position[flat_codes], farthest, constant_values=len(flat))
    distances = np.full((len(rows), len(flat) + 1), _FAR, np.uint8)
    pixels = np.arange(len(rows))
    steps = range(-farthest, farthest + 1)
    for dy, dx in sorted(product(steps, steps), key=lambda step: -max(map(abs, step))):
        at = padded[rows + dy + farthest, columns + dx + farthest]
        distances[pixels, at] = max(abs(dy), abs(dx))
    return distances[:, :-1]


def _blocks(codes: Codes) -> Codes:
    """Return the level of the pixels that are in a 3 × 3 block of one level, and -1 elsewhere."""
    blocks = np.full(codes.shape, -1)
    height, width = codes.shape
    padded = np.pad(np.where(solid_pixels(codes), codes, -1), 1, constant_values=-1)
    for dy, dx in product((0, 1, 2), repeat=2):
        other = padded[dy : dy + height, dx : dx + width]
        blocks = np.where(other == codes, other, blocks)
    return blocks


def _near_own(codes: Codes, blocks: Codes) -> Bool[np.ndarray, "height width"]:
    """Return the pixels that have a block of their own level within ``REACH`` pixels."""
    height, width = codes.shape
    padded = np.pad(blocks, REACH, constant_values=-1)
    near = np.zeros(codes.shape, bool)
    for dy, dx in product(range(2 * REACH + 1), repeat=2):
        near |= padded[dy : dy + height, dx : dx + width] == codes
    return near


def _touching(codes: Codes, a: int, b: int) -> int:
    """Return the number of pairs of neighbours with these two levels."""
    both = 0
    for first, second in ((codes[1:], codes[:-1]), (codes[:, 1:], codes[:, :-1])):
        both += int((((first == a) & (second == b)) | ((first == b) & (second == a))).sum())
    return both


def _grown(mask: Bool[np.ndarray, "height width"], by: int) -> Bool[np.ndarray, "height width"]:
    """Return a mask extended by some pixels in all directions."""
    height, width = mask.shape
    padded = np.pad(mask, by)
    grown = np.zeros_like(mask)
    for dy, dx in product(range(2 * by + 1), repeat=2):
        grown |= padded[dy : dy + height, dx : dx + width]
    return grown
