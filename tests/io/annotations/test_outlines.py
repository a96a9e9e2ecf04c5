"""Outlines of masks, filled again by the rasteriser of COCO."""

from __future__ import annotations

import numpy as np
import pycocotools.mask
import pytest

from maskcast.io.annotations.outlines import joined, outlines, signed_area

SIZE = (40, 50)


def filled(polygons) -> np.ndarray:
    parts = pycocotools.mask.frPyObjects([p.ravel().tolist() for p in polygons], *SIZE)
    return pycocotools.mask.decode(pycocotools.mask.merge(parts)).astype(bool)


def disc(x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def blobs(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    mask = np.zeros(SIZE, dtype=bool)
    for _ in range(6):
        x, y, radius = generator.uniform((0, 0, 2), (50, 40, 12))
        mask ^= disc(x, y, radius)
    return mask


def test_the_outline_of_a_rectangle_runs_clockwise_along_its_edge():
    mask = np.zeros(SIZE, dtype=bool)
    mask[3:7, 10:20] = True
    (outline,) = outlines(mask)
    start = outline.tolist().index([10, 3])
    assert np.roll(outline, -start, axis=0).tolist() == [[10, 3], [20, 3], [20, 7], [10, 7]]
    assert signed_area(outline) == 40


def test_holes_have_negative_areas_and_parts_that_touch_at_a_corner_are_apart():
    mask = np.zeros(SIZE, dtype=bool)
    mask[0:10, 0:10] = True
    mask[4:6, 4:6] = False
    mask[10:12, 10:12] = True
    assert [signed_area(ring) for ring in outlines(mask)] == [100, 4, -4] or [
        signed_area(ring) for ring in outlines(mask)
    ] == [100, -4, 4]


def test_an_empty_mask_has_no_outline():
    assert outlines(np.zeros(SIZE, dtype=bool)) == []


@pytest.mark.parametrize("seed", range(8))
def test_areas_add_up_to_the_mask(seed):
    mask = blobs(seed)
    rings = outlines(mask)
    assert sum(map(signed_area, rings)) == mask.sum()
    assert signed_area(joined(rings)) == mask.sum()


@pytest.mark.parametrize("seed", range(8))
def test_a_joined_outline_fills_the_mask_with_its_holes(seed):
    mask = blobs(seed)
    assert filled([joined(outlines(mask))]).tolist() == mask.tolist()


@pytest.mark.parametrize("seed", range(4))
def test_simplified_outlines_are_near_and_short(seed):
    mask = blobs(seed) if seed else disc(25, 20, 15)
    exact, simple = outlines(mask), outlines(mask, tolerance=0.8)
    assert sum(map(len, simple)) < 0.6 * sum(map(len, exact))
    found = filled([joined(simple)])
    assert (found & mask).sum() / (found | mask).sum() > 0.93


def test_a_single_pixel_keeps_its_square():
    mask = np.zeros(SIZE, dtype=bool)
    mask[5, 6] = True
    (outline,) = outlines(mask, tolerance=0.8)
    assert signed_area(outline) == 1
