"""J by hand and by plain counting."""

from __future__ import annotations

import numpy as np
import pytest

from maskcast.metrics.frame import MISSED, score_object
from maskcast.metrics.region import region_similarity


def test_two_overlapping_squares():
    prediction, truth = np.zeros((2, 10, 100), np.bool_)
    prediction[2:6, 60:70] = True  # 40 pixels, over the edge of a word
    truth[2:6, 65:75] = True  # 40 pixels, 20 of them common: 20 / 60
    assert region_similarity(prediction, truth) == 20 / 60


@pytest.mark.parametrize("width", [1, 63, 64, 65, 130])
def test_equals_plain_counting(width):
    random = np.random.default_rng(width)
    prediction, truth, void = random.random((3, 17, width)) < 0.5
    both, either = prediction & truth & ~void, (prediction | truth) & ~void
    assert region_similarity(prediction, truth, void) == both.sum() / either.sum()


def test_empty_masks_agree():
    empty, one = np.zeros((2, 4, 4), np.bool_)
    one[0, 0] = True
    assert region_similarity(empty, empty) == 1
    assert region_similarity(one, empty) == 0
    assert region_similarity(one, empty, void=one) == 1  # the only pixel counts for nothing


def test_a_missed_frame_is_worth_nothing():
    assert MISSED == (0, 0)


def test_both_measures_at_once_are_the_single_ones():
    random = np.random.default_rng(0)
    prediction, truth = np.zeros((2, 50, 90), np.bool_)
    prediction[10:30, 20:80], truth[12:33, 25:77] = True, True
    prediction ^= random.random((50, 90)) < 0.02
    found = score_object(prediction, truth)
    assert region_similarity(prediction, truth) == found.J
    assert 0 < found.F < 1
