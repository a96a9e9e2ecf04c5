"""Times of frames, and what replaces a bad frame."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from maskcast.core.errors import FrameError
from maskcast.io.video.reader import Timing, fill_bad_frame, refuse_other_size

MILLISECOND = Fraction(1, 1000)


@pytest.mark.parametrize(
    ("ticks", "rate"),
    [
        ((0, 40, 80), 25),
        ((1000, 1050), 20),
        ((0, 10, 100), 20),  # three frames in a tenth of a second, two steps
        ((7,), 25),  # nothing to tell it by
        ((7, 7), 25),
    ],
)
def test_the_rate_is_the_mean_one(ticks, rate):
    assert Timing(MILLISECOND, ticks).rate == rate


def test_times_are_exact():
    assert Timing(Fraction(1, 30000), (0, 1001)).seconds(1) == Fraction(1001, 30000)


def test_a_bad_frame_is_replaced_by_the_one_before_it_only_if_that_is_asked_for(caplog):
    before, error = np.zeros((2, 3, 3), dtype=np.uint8), FrameError("frame 4 is damaged")
    assert fill_bad_frame(before, error, "hold") is before
    assert "frame 4 is damaged; holding the frame before it" in caplog.text
    with pytest.raises(FrameError, match=r"frame 4 is damaged; .*set on_bad_frame"):
        fill_bad_frame(before, error, "stop")
    with pytest.raises(FrameError, match="there is no earlier frame to hold"):
        fill_bad_frame(None, error, "hold")


def test_sizes_are_told_width_first():
    refuse_other_size(np.zeros((2, 3, 3), dtype=np.uint8), (2, 3), "it")
    with pytest.raises(FrameError, match=r"it is 3×2 but the frames before it are 5×4"):
        refuse_other_size(np.zeros((2, 3, 3), dtype=np.uint8), (4, 5), "it")
