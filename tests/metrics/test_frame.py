"""Both measures at once are the single ones, also where the masks touch the border or void."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskcast.metrics.boundary import contour_accuracy
from maskcast.metrics.frame import score_object
from maskcast.metrics.region import region_similarity

shapes = st.tuples(st.just(3), st.integers(2, 20), st.integers(2, 140))


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(bool, shapes), st.booleans())
def test_both_measures_at_once_are_the_single_ones(masks, has_void):
    prediction, truth = masks[:2]
    void = masks[2] if has_void else None
    alone = region_similarity(prediction, truth, void), contour_accuracy(prediction, truth, void)
    assert score_object(prediction, truth, void) == alone
