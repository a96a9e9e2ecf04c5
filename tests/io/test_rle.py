"""Run lengths: by hand, against pycocotools, and round trips of anything."""

from __future__ import annotations

import numpy as np
import pycocotools.mask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskcast.core.errors import PromptError
from maskcast.io.rle import decode_mask, encode_mask

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


def test_by_hand():
    # column by column: 0 1 | 1 1 | 0 0, so one background pixel, three of the mask, two background
    mask = np.array([[False, True, False], [True, True, False]])
    np.testing.assert_array_equal(decode_mask({"size": [2, 3], "counts": [1, 3, 2]}), mask)
    assert encode_mask(mask) == {"size": [2, 3], "counts": "132"}  # "0" is 48, so 1 is "1"


@settings(max_examples=60, deadline=None)
@given(mask=masks)
def test_round_trip(mask):
    np.testing.assert_array_equal(decode_mask(encode_mask(mask)), mask)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(1, 60))
def test_long_runs_agree_with_pycocotools(seed, blocks):
    rng = np.random.default_rng(seed)
    small = rng.random((blocks, 3)) < 0.5
    mask = small.repeat(37, axis=0).repeat(50, axis=1)  # runs that need several characters
    packed = pycocotools.mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    np.testing.assert_array_equal(decode_mask(packed), pycocotools.mask.decode(packed).astype(bool))


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        ({"counts": [1]}, "size of a mask must be"),
        ({"size": [2], "counts": [2]}, "size of a mask must be"),
        ({"size": [2, -1], "counts": [2]}, "size of a mask must be"),
        ({"size": [10**9, 10**9], "counts": [10**18]}, "size of a mask must be"),
        ({"size": [60_000, 60_000], "counts": [0, 60_000**2]}, "may have at most"),
        ({"size": [True, 2], "counts": [2]}, "size of a mask must be"),
        ({"size": [2, 2]}, "do not add up"),
        ({"size": [2, 2], "counts": [1, 2]}, "do not add up"),
        ({"size": [2, 2], "counts": [6, -2]}, "do not add up"),
        ({"size": [2, 2], "counts": [1.5, 2.5]}, "do not add up"),
        ({"size": [2, 2], "counts": "99999"}, "do not add up"),
        ({"size": [2, 2], "counts": "ab\n"}, "characters that COCO does not use"),
        ({"size": [2, 2], "counts": "一"}, "characters that COCO does not use"),
        ({"size": [2, 2], "counts": "o" * 50}, "characters that COCO does not use"),
    ],
)
def test_malformed_encodings_are_refused(encoded, message):
    with pytest.raises(PromptError, match=message):
        decode_mask(encoded)


@settings(max_examples=100, deadline=None)
@given(
    size=st.lists(st.integers(-1, 40), max_size=3),
    counts=st.text(max_size=12) | st.lists(st.integers(-3, 40), max_size=6) | st.floats(),
)
def test_any_encoding_is_a_mask_of_its_size_or_refused(size, counts):
    try:
        found = decode_mask({"size": size, "counts": counts})
    except PromptError:
        return
    assert found.shape == tuple(size)
    assert found.dtype == bool
