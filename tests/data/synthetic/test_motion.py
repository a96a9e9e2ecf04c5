"""Motion in synthetic clips, against its definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from maskcast.data.synthetic.motion import (
    Detour,
    Excursion,
    Visit,
    draw_bending,
    draw_motion,
    draw_wave,
    meet,
    patch_of,
    sampling_grid,
    to_pixels,
)


def some_motion(seed: int = 0, **changes):
    generator = np.random.default_rng(seed)
    motion = draw_motion(generator, start=(0.2, -0.1), size=0.25, aspect=1.0, pace=1.5)
    return replace(motion, **changes) if changes else motion


def test_everything_is_where_it_starts_at_time_zero():
    motion = some_motion(turn=0.0)
    expected = [[0.25, 0, 0.2], [0, 0.25, -0.1], [0, 0, 1]]
    np.testing.assert_allclose(motion.homography(0.0), expected, atol=1e-12)
    assert draw_wave(np.random.default_rng(1), 0.4, 0.1).at(0.0) == 0.0


def test_a_thin_plate_moves_its_points_as_far_as_they_were_told_to():
    bending = draw_bending(np.random.default_rng(2), 0.2)
    swing = np.sin(bending.rate * 13 + bending.phases) - np.sin(bending.phases)
    expected = 0.2 * swing[:, None] * bending.directions
    np.testing.assert_allclose(bending.at(13.0, bending.points), expected, atol=1e-9)
    np.testing.assert_allclose(bending.at(0.0, bending.points), 0, atol=1e-12)


def test_a_thin_plate_that_is_moved_as_a_whole_does_not_bend():
    bending = draw_bending(np.random.default_rng(2), 0.2)
    whole = replace(bending, directions=np.tile([1.0, 0.0], (9, 1)), phases=np.zeros(9))
    places = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    moved = whole.at(7.0, places)
    np.testing.assert_allclose(
        moved, np.tile([0.2 * np.sin(whole.rate * 7), 0], (20, 1)), atol=1e-9
    )


def test_two_courses_meet_when_they_are_told_to():
    first, second = some_motion(1), some_motion(2)
    met = meet(first, second, 31.0)
    np.testing.assert_allclose(met.centre(31.0), first.centre(31.0), atol=1e-12)
    np.testing.assert_allclose(met.centre(0.0), second.centre(0.0), atol=1e-12)


def test_an_excursion_leaves_and_returns():
    away = Excursion(10.0, 30.0, (2.0, -1.0))
    for time, share in ((0, 0), (10, 0), (15, 0.5), (20, 1), (30, 0), (99, 0)):
        np.testing.assert_allclose(away.at(time), [2.0 * share, -1.0 * share], atol=1e-12)


def test_a_detour_stays_away_until_it_returns_and_a_visit_is_its_opposite():
    away = Detour(10.0, 14.0, 20.0, 22.0, (2.0, -1.0))
    there = Visit(away, before=(3.0, 0.0), after=(0.0, 5.0))
    shares = {0: 0, 10: 0, 12: 0.5, 14: 1, 17: 1, 20: 1, 21: 0.5, 22: 0, 99: 0}
    for time, share in shares.items():
        np.testing.assert_allclose(away.at(time), [2.0 * share, -1.0 * share], atol=1e-12)
        side = (3.0, 0.0) if time <= 14 else (0.0, 5.0)
        np.testing.assert_allclose(there.at(time), np.array(side) * (1 - share), atol=1e-12)


def test_a_detour_without_an_end_never_returns():
    away = Detour(10.0, 14.0, np.inf, np.inf, (2.0, -1.0))
    np.testing.assert_allclose(away.at(1e6), [2.0, -1.0])
    np.testing.assert_allclose(away.at(9.0), [0.0, 0.0])


def test_a_layer_that_fills_the_frame_is_drawn_as_it_is():
    image = torch.rand(1, 3, 20, 30)
    layer = np.diag([30 / 20 / 2, 0.5, 1.0])
    homography = to_pixels((20, 30)) @ layer
    drawn = functional.grid_sample(
        image, sampling_grid(homography, (0, 20, 0, 30)), align_corners=False
    )
    torch.testing.assert_close(drawn, image, atol=1e-4, rtol=0)


def test_a_grid_goes_back_through_perspective():
    homography = to_pixels((40, 60)) @ some_motion(3).homography(25.0)
    grid = sampling_grid(homography, (0, 40, 0, 60))[0].double().numpy()
    corner = homography @ [*grid[5, 7], 1.0]
    # between the nodes the mapping is linear, so a small share of a pixel is lost
    np.testing.assert_allclose(corner[:2] / corner[2], [7, 5], atol=0.05)


@pytest.mark.parametrize(
    ("centre", "expected"),
    [
        ((0.0, 0.0), (4, 16, 4, 16)),
        ((0.5, 0.0), (4, 16, 14, 20)),
        ((0.0, -0.5), (0, 6, 4, 16)),
        ((2.0, 0.0), None),
    ],
)
def test_a_patch_is_what_a_layer_can_touch(centre, expected):
    # a square of half side 0.25 in a frame of 20 × 20 pixels: 4.5 … 14.5, so pixels 4 to 15
    layer = np.array([[0.25, 0, centre[0]], [0, 0.25, centre[1]], [0, 0, 1]])
    assert patch_of(to_pixels((20, 20)) @ layer, (20, 20), margin=1.0) == expected
