"""Outlines of masks as polygons.

A polygon is an array of corners × (x, y) in pixels, where pixel (column, row) covers the square
from (column, row) to (column + 1, row + 1). It runs around its object clockwise (y points
downwards), and around holes the other way, so both common rules of filling give the mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Float

from maskcast.core.arrays import MaskArray

Polygon: TypeAlias = Float[np.ndarray, "_ 2"]
"""Corners (x, y) of a closed line in pixels; the first corner is not repeated."""

TOLERANCE = 0.8
"""Pixels by which a simplified outline may leave the edge: enough for the steps of a slanted edge
to become one line."""
FEWEST_CORNERS = 3
Edge: TypeAlias = tuple[int, int, int]
"""Corner (x, y) in which a side of a pixel begins, and its direction, an index of ``STEPS``."""
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def outlines(mask: MaskArray, *, tolerance: float = 0.0) -> list[Polygon]:
    """Return the outlines of a mask and of its holes, the largest first.

    Pixels that touch only at a corner are separate parts.

    Args:
        mask: any mask; an empty one has no outlines.
        tolerance: pixels by which an outline may be simplified; 0 gives the exact edge.
    """
    rings = [np.array(ring, dtype=np.float64) for ring in _rings(_edges(mask))]
    simple = [_simplified(ring, tolerance) if tolerance else ring for ring in rings]
    return sorted(simple, key=lambda ring: -abs(signed_area(ring)))


def signed_area(polygon: Polygon) -> float:
    """Return the area inside a polygon in pixels; negative for the outline of a hole."""
    x, y = polygon.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def joined(polygons: Sequence[Polygon]) -> Polygon:
    """Join outlines into one polygon, by lines of no width between nearest corners.

    Args:
        polygons: at least one outline.
    """
    whole = polygons[0]
    for ring in polygons[1:]:
        distances = np.square(whole[:, None] - ring[None]).sum(axis=2)
        here, there = np.unravel_index(int(np.argmin(distances)), distances.shape)
        around = np.concatenate([ring[there:], ring[: there + 1]])
        whole = np.concatenate([whole[: here + 1], around, whole[here:]])
    return whole


def _edges(mask: MaskArray) -> set[Edge]:
    """Return the sides of pixels that separate the mask from the rest."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    edges: set[Edge] = set()
    for direction, (neighbours, x, y) in enumerate(
        (
            (padded[:-2, 1:-1], 0, 0),  # top sides run to the right
            (padded[1:-1, 2:], 1, 0),  # right sides run down
            (padded[2:, 1:-1], 1, 1),
            (padded[1:-1, :-2], 0, 1),
        )
    ):
        corners = np.argwhere(inside & ~neighbours) + np.array([y, x])
        edges.update((column, row, direction) for row, column in corners.tolist())
    return edges


def _rings(edges: set[Edge]) -> list[list[tuple[int, int]]]:
    """Follow the edges to closed lines, and return the corners of each."""
    rings = []
    unused = set(edges)
    while unused:
        edge = next(iter(unused))
        path: list[Edge] = []
        while edge in unused:
            unused.remove(edge)
            path.append(edge)
            edge = _next_edge(edge, edges)
        turns = zip(path, [path[-1], *path[:-1]], strict=True)
        rings.append([(x, y) for (x, y, direction), (*_, last) in turns if direction != last])
    return rings


def _next_edge(edge: Edge, edges: set[Edge]) -> Edge:
    x, y, direction = edge
    x, y = x + STEPS[direction][0], y + STEPS[direction][1]
    # turning right first keeps pixels apart that touch at a corner
    turns = ((x, y, (direction + turn) % 4) for turn in (1, 0, 3))
    return next(candidate for candidate in turns if candidate in edges)


def _simplified(ring: Polygon, tolerance: float) -> Polygon:
    """Drop corners that are near the line between others (Douglas and Peucker, 1973).

    An outline that would lose its area stays as it is.
    """
    far = int(np.argmax(np.square(ring - ring[0]).sum(axis=1)))
    closed = np.concatenate([ring, ring[:1]])
    kept = np.zeros(len(closed), dtype=bool)
    kept[[0, far, -1]] = True
    spans = [(0, far), (far, len(ring))]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distances = _distances(closed[first + 1 : last], closed[first], closed[last])
        worst = int(np.argmax(distances))
        if distances[worst] > tolerance:
            middle = first + 1 + worst
            kept[middle] = True
            spans += [(first, middle), (middle, last)]
    simple = closed[:-1][kept[:-1]]
    return simple if len(simple) >= FEWEST_CORNERS and signed_area(simple) else ring


def _distances(
    points: Float[np.ndarray, "points 2"],
    first: Float[np.ndarray, " 2"],
    last: Float[np.ndarray, " 2"],
) -> Float[np.ndarray, " points"]:
    """Return the distances of points from the line through two others."""
    along = last - first
    length = float(np.hypot(*along))
    offset = points - first
    across = offset[:, 0] * along[1] - offset[:, 1] * along[0]
    distances: np.ndarray = np.hypot(*offset.T) if length == 0 else np.abs(across) / length
    return distances
