"""The guided filter, against windows that are summed one by one."""

from __future__ import annotations

import numpy as np

from maskcast.viz.guided_filter import GuidedFilter, window_sums

RANDOM = np.random.default_rng(3)


def test_window_sums_are_sums_of_windows():
    image = RANDOM.random((7, 9, 2))
    for radius in (0, 1, 3, 10):
        sums = window_sums(image, radius)
        for row, column in ((0, 0), (3, 4), (6, 8), (2, 8)):
            rows = slice(max(0, row - radius), row + radius + 1)
            columns = slice(max(0, column - radius), column + radius + 1)
            expected = image[rows, columns].sum(axis=(0, 1))
            np.testing.assert_allclose(sums[row, column], expected, atol=1e-12)


def test_an_affine_function_of_the_guide_is_kept():
    guide = RANDOM.random((12, 15, 3))
    values = guide @ np.array([0.2, -0.5, 0.7]) + 0.1
    np.testing.assert_allclose(GuidedFilter(guide, 2, 1e-12)(values), values, atol=1e-6)


def test_a_pixel_is_the_mean_of_regressions_over_its_windows():
    guide, values, epsilon = RANDOM.random((5, 5, 3)), RANDOM.random((5, 5)), 0.01
    predictions = []
    for row in range(1, 4):
        for column in range(1, 4):  # the nine windows that contain the pixel in the middle
            inside = (slice(row - 1, row + 2), slice(column - 1, column + 2))
            colours, seen = guide[inside].reshape(9, 3), values[inside].reshape(9)
            centred = colours - colours.mean(axis=0)
            spread = centred.T @ centred / 9 + epsilon * np.eye(3)
            slope = np.linalg.solve(spread, centred.T @ (seen - seen.mean()) / 9)
            predictions.append(slope @ (guide[2, 2] - colours.mean(axis=0)) + seen.mean())
    found = GuidedFilter(guide, 1, epsilon)(values)[2, 2]
    np.testing.assert_allclose(found, np.mean(predictions), atol=1e-10)


def test_blocks_of_pixels_share_coefficients():
    guide, values = np.zeros((9, 12, 3)), np.zeros((9, 12))
    guide[:, 6:], values[:, 6:] = 0.8, 1
    guide += RANDOM.normal(0, 0.01, guide.shape)
    fine = GuidedFilter(guide, 4, 1e-4)(values)
    coarse = GuidedFilter(guide, 4, 1e-4, step=2)(values)
    assert coarse.shape == fine.shape
    assert np.abs(coarse - fine).max() < 0.1
    assert ((coarse >= 0.5) == (values == 1)).all()
