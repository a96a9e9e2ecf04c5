"""What the videos of an evaluation add up to."""

from __future__ import annotations

from maskcast.evaluation.run import ProcessingTime


def test_times_and_frames_of_videos_add_up():
    one, other = ProcessingTime(3, 6, 1.5, 2.0), ProcessingTime(1, 1, 0.25, 4.0)
    assert one.plus(other) == ProcessingTime(4, 7, 1.75, 6.0)
