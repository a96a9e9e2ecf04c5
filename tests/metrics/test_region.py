"""J by hand and by plain counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

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


shapes = st.tuples(st.just(3), st.integers(1, 12), st.integers(1, 140))


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(bool, shapes))
def test_whatever_is_drawn_it_is_a_share_that_does_not_depend_on_the_order(masks):
    prediction, truth, void = masks
    found = region_similarity(prediction, truth, void)
    assert region_similarity(truth, prediction, void) == found
    assert region_similarity(truth, truth, void) == 1
    seen = ~void
    either = ((prediction | truth) & seen).sum()
    assert found == ((prediction & truth & seen).sum() / either if either else 1)


def test_empty_masks_agree():
    empty, one = np.zeros((2, 4, 4), np.bool_)
    one[0, 0] = True
    assert region_similarity(empty, empty) == 1
    assert region_similarity(one, empty) == 0
    assert region_similarity(one, empty, void=one) == 1  # the only pixel counts for nothing
