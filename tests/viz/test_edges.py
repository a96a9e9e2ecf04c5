"""Edges: alpha against exact coverage, and each step by hand."""

from __future__ import annotations

import numpy as np
import pytest

from maskcast.viz import edges
from maskcast.viz.edges import (
    EdgeSettings,
    alpha_of,
    feathered,
    fill_holes,
    foreground_colours,
    grown,
    refined,
)

SIZE = (120, 160)
FRONT, BACK = np.array((200, 60, 40)), np.array((40, 90, 160))


def disc(radius: float, *, at: tuple[float, float] = (60, 80)) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return (rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= radius**2


def soft_disc(radius: float = 30, width: float = 4) -> np.ndarray:
    """Coverage that falls from 1 to 0 over ``width`` pixels around the radius."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    distance = np.hypot(rows - 60, columns - 80)
    return np.clip((radius - distance) / width + 0.5, 0, 1).astype(np.float32)


def picture_of(alpha: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 2, (*SIZE, 3))
    mixed = alpha[..., None] * FRONT + (1 - alpha[..., None]) * BACK
    return np.clip(np.rint(mixed + noise), 0, 255).astype(np.uint8)


def test_refined_alpha_is_nearer_to_the_exact_one():
    exact = soft_disc()
    picture, mask = picture_of(exact), exact >= 0.5
    error = np.abs(refined(picture, mask) - exact).mean()
    assert error < 0.55 * np.abs(mask - exact).mean()


def test_matted_alpha_of_an_exact_mask_is_much_nearer():
    exact = soft_disc()
    picture, mask = picture_of(exact), exact >= 0.5
    found = alpha_of(picture, mask, EdgeSettings(kind="matted"))
    assert np.abs(found - exact).mean() < 0.4 * np.abs(mask - exact).mean()
    assert ((found >= 0.5) != mask).sum() < 0.02 * mask.sum()
    nothing = np.zeros(SIZE, bool)
    assert not alpha_of(picture, nothing, EdgeSettings(kind="matted")).any()


@pytest.mark.parametrize("coarse", [360, 60])  # below and above one pixel per block
def test_a_mask_that_is_off_moves_to_the_edge(coarse, monkeypatch):
    monkeypatch.setattr(edges, "COARSE", coarse)
    exact = soft_disc(width=2)
    mask = disc(28, at=(61, 81))
    found = refined(picture_of(exact), mask)
    wrong = ((found >= 0.5) != (exact >= 0.5)).sum()
    assert wrong < 0.35 * (mask != (exact >= 0.5)).sum()


def test_refined_alpha_is_certain_away_from_the_edge():
    found = refined(picture_of(soft_disc()), disc(30))
    assert (found[disc(20)] == 1).all()
    assert (found[~disc(42)] == 0).all()
    assert not refined(picture_of(soft_disc()), np.zeros(SIZE, bool)).any()


def test_colours_of_the_foreground_have_no_background_in_them():
    exact = soft_disc(width=6)
    picture = picture_of(exact)
    found = foreground_colours(picture, exact)
    edge = (exact > 0.1) & (exact < 0.9)
    before = np.abs(picture[edge].astype(int) - FRONT).mean()
    assert np.abs(found[edge].astype(int) - FRONT).mean() < 0.3 * before
    np.testing.assert_array_equal(found[exact == 1], picture[exact == 1])
    just_outside = disc(35) & (exact == 0)
    assert np.abs(found[just_outside].astype(int) - FRONT).mean() < 0.3 * before
    assert not found[~disc(50)].any()


@pytest.mark.parametrize("radius", [1, 2, 3, 7])
def test_growing_is_a_dilation_by_a_disc(radius):
    mask = np.zeros((31, 33), bool)
    mask[15, 16] = mask[2, 0] = True
    rows, columns = np.mgrid[:31, :33]
    expected = np.zeros_like(mask)
    for row, column in ((15, 16), (2, 0)):
        expected |= (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
    np.testing.assert_array_equal(grown(mask, radius), expected)
    np.testing.assert_array_equal(grown(~mask, -radius), ~expected)
    soft = mask * np.float32(0.3)
    np.testing.assert_allclose(grown(soft, radius), expected * np.float32(0.3))


def test_feathering_keeps_the_area_and_has_the_given_width():
    step = np.zeros((5, 41), np.float32)
    step[:, 20:] = 1
    blurred = feathered(step, 3.0)
    np.testing.assert_allclose(blurred.sum(axis=1), step.sum(axis=1), atol=1e-4)
    slope = np.diff(blurred[2])
    centre = (slope * np.arange(40)).sum()
    assert np.sqrt((slope * (np.arange(40) - centre) ** 2).sum()) == pytest.approx(3, rel=0.03)


def test_holes_up_to_a_size_are_filled():
    mask = disc(40)
    ring = mask & ~disc(12)  # 441 pixels
    ring[60, 44:58] = False
    ring[30:32, 80] = False
    filled = fill_holes(ring, 20)
    assert filled[60, 46] and filled[30, 80]
    np.testing.assert_array_equal(filled & disc(12), ring & disc(12))
    np.testing.assert_array_equal(fill_holes(ring, 500), mask)
    bay = mask.copy()
    bay[:60, 80] = False  # open to the outside
    np.testing.assert_array_equal(fill_holes(bay, 10_000), bay)


def test_the_steps_follow_one_another():
    mask = disc(30) & ~disc(2)
    picture = picture_of(soft_disc())
    probability = soft_disc(width=10)
    probability[disc(2)] = 0.1
    soft = alpha_of(picture, mask, EdgeSettings(kind="soft", fill_holes=50), probability)
    assert (soft[disc(2)] == 1).all()
    np.testing.assert_array_equal(soft[~disc(2)], probability[~disc(2)])
    grew = alpha_of(picture, mask, EdgeSettings(grow=3, fill_holes=50))
    np.testing.assert_array_equal(grew, grown(disc(30), 3))
    blurred = alpha_of(picture, mask, EdgeSettings(feather=2))
    assert 0.2 < blurred[60, 110] < 0.8
