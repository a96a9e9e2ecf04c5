"""Mean, recall, decay and V by hand, and at lengths where eight bits overflow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from maskcast.metrics.statistics import decay, mean, recall, summary, variation


def test_recall_counts_only_what_exceeds_one_half():
    assert recall(np.array([0.5, 0.50001, 0.2, 0.9])) == 0.5


def test_decay_of_eight_frames_by_hand():
    # edges round(1, 2.75, 4.5, 6.25, 8) − 1 = 0, 2, 4 (4.5 goes up to 5), 5, 7
    values = np.array([1.0, 0.8, 0.6, 0.5, 0.5, 0.4, 0.2, 0.0])
    first, last = (1.0 + 0.8 + 0.6) / 3, (0.4 + 0.2 + 0.0) / 3
    assert decay(values) == pytest.approx(first - last, abs=1e-15)


@pytest.mark.parametrize("frames", [1, 2, 3, 5, 255, 256, 257, 258, 300, 1000, 70000])
def test_decay_of_a_falling_line_is_right_at_any_length(frames):
    values = np.linspace(1, 0, frames)
    edges = [math.floor(1 + k * (frames - 1) / 4 + 0.5 + 1e-9) - 1 for k in range(5)]
    expected = values[edges[0] : edges[1] + 1].mean() - values[edges[3] : edges[4] + 1].mean()
    assert decay(values) == pytest.approx(expected, abs=1e-12)
    if frames >= 255:
        assert decay(values) == pytest.approx(0.75, abs=0.02)


def test_frames_without_a_value_are_left_out():
    values = np.array([0.2, np.nan, 0.8])
    assert mean(values) == 0.5
    assert recall(values) == 0.5


def test_nothing_to_sum_up_is_not_a_number():
    found = summary(np.array([]))
    assert all(math.isnan(value) for value in (found.mean, found.recall, found.decay))
    assert math.isnan(variation(np.array([])))


def test_variation_rounds_the_square_first():
    values = np.array([0.5, 0.7])  # variance 0.01, a deviation of 0.1
    assert variation(values) == pytest.approx(0.1, abs=1e-12)
    assert variation(np.array([0.5, 0.51])) == 0  # 0.000025 is rounded to 0.0000
