"""What the run of a method over a data set adds up."""

from __future__ import annotations

from maskcast.evaluation.run import Timing


def test_times_and_frames_of_videos_add_up():
    one, other = Timing(3, 6, 1.5, 2.0), Timing(1, 1, 0.25, 4.0)
    assert one.plus(other) == Timing(4, 7, 1.75, 6.0)
