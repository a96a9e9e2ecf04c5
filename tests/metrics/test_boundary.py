"""F against values by hand, a slow loop over pixels, and the definition's symmetries."""

from __future__ import annotations

from math import ceil, hypot

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcast.metrics.boundary import boundary_tolerance, contour_accuracy


def slow_contour(mask: np.ndarray) -> set[tuple[int, int]]:
    """Pixels unlike their right, lower or lower right neighbour; the border repeats itself."""
    height, width = mask.shape
    return {
        (y, x)
        for y in range(height)
        for x in range(width)
        for down, right in ((0, 1), (1, 0), (1, 1))
        if mask[y, x] != mask[min(y + down, height - 1), min(x + right, width - 1)]
    }


def slow_contour_accuracy(prediction: np.ndarray, truth: np.ndarray) -> float:
    radius = ceil(0.008 * hypot(*truth.shape))
    one, other = slow_contour(prediction), slow_contour(truth)
    if not one or not other:
        return float(len(one) == len(other))

    def found(these: set[tuple[int, int]], those: set[tuple[int, int]]) -> float:
        near = [any((y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in those) for y, x in these]
        return sum(near) / len(these)

    precision, recall = found(one, other), found(other, one)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def blobs(seed: int, height: int, width: int) -> np.ndarray:
    """A few rectangles, often at the border."""
    random = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.bool_)
    for _ in range(random.integers(1, 4)):
        top, left = random.integers(-3, height), random.integers(-3, width)
        rows, columns = random.integers(1, height + 1), random.integers(1, width + 1)
        mask[max(top, 0) : top + rows, max(left, 0) : left + columns] ^= True
    return mask


@pytest.mark.parametrize(
    ("height", "width"), [(1, 50), (50, 1), (20, 63), (20, 64), (20, 65), (9, 127), (9, 128)]
)
def test_equals_a_slow_loop_at_every_width_of_a_word(height, width):
    for seed in range(6):
        prediction, truth = blobs(seed, height, width), blobs(seed + 100, height, width)
        expected = slow_contour_accuracy(prediction, truth)
        assert contour_accuracy(prediction, truth) == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(2, 90), st.floats(0.02, 0.98))
def test_equals_a_slow_loop_on_noise(seed, height, width, share):
    random = np.random.default_rng(seed)
    prediction, truth = (random.random((2, height, width)) < share).copy()
    expected = slow_contour_accuracy(prediction, truth)
    assert contour_accuracy(prediction, truth) == expected


def test_tolerance_of_the_benchmark_sizes():
    assert boundary_tolerance(480, 854) == 8  # 0.008 · 979.7 = 7.84
    assert boundary_tolerance(1080, 1920) == 18  # 0.008 · 2202.9 = 17.6
    assert boundary_tolerance(480, 640) == 7  # 0.008 · 800 = 6.4


def test_a_tolerance_wider_than_a_word():
    """At 8192 pixels the disk reaches 66 pixels, past a whole word of 64."""
    truth = np.zeros((200, 8192), np.bool_)
    truth[:, 4000:] = True
    for shift, expected in ((66, 1.0), (67, 0.0)):
        prediction = np.zeros_like(truth)
        prediction[:, 4000 + shift :] = True
        assert boundary_tolerance(*truth.shape) == 66
        assert contour_accuracy(prediction, truth) == expected
        assert contour_accuracy(truth, prediction) == expected


def test_an_edge_within_the_tolerance_is_found_and_one_beyond_is_not():
    truth = np.zeros((480, 854), np.bool_)
    truth[:, 400:] = True
    for shift, expected in ((8, 1.0), (9, 0.0), (-8, 1.0), (-9, 0.0)):
        prediction = np.zeros_like(truth)
        prediction[:, 400 + shift :] = True
        assert contour_accuracy(prediction, truth) == expected


def test_half_of_a_contour_found():
    """A line of 10 pixels' contour, matched at its left half only: worked out by hand."""
    truth, prediction = np.zeros((2, 60, 60), np.bool_)
    truth[30:, :] = True  # contour: row 29, all 60 columns
    prediction[30:, :30] = True  # contour: row 29, columns 0 to 29, and column 29 below
    # tolerance 1: precision 30 of row 29, plus row 30 of column 29, within one pixel: 31 of 60
    # recall: columns 0 to 29 and the one beside it: 31 of 60
    assert boundary_tolerance(60, 60) == 1
    assert contour_accuracy(prediction, truth) == pytest.approx(31 / 60, abs=1e-15)


def test_empty_and_full_masks():
    empty, full = np.zeros((20, 30), np.bool_), np.ones((20, 30), np.bool_)
    drawn = empty.copy()
    drawn[5:9, 5:9] = True
    assert contour_accuracy(empty, empty) == 1
    assert contour_accuracy(full, empty) == 1  # neither has a contour
    assert contour_accuracy(drawn, empty) == 0
    assert contour_accuracy(empty, drawn) == 0


def test_void_is_background_in_both():
    random = np.random.default_rng(3)
    prediction, truth, void = random.random((3, 30, 70)) < 0.4
    expected = slow_contour_accuracy(prediction & ~void, truth & ~void)
    assert contour_accuracy(prediction, truth, void) == expected


def test_arguments_stay_as_they_were():
    random = np.random.default_rng(4)
    prediction, truth, void = random.random((3, 30, 70)) < 0.4
    before = prediction.copy(), truth.copy(), void.copy()
    contour_accuracy(prediction, truth, void)
    assert all((a == b).all() for a, b in zip(before, (prediction, truth, void), strict=True))
