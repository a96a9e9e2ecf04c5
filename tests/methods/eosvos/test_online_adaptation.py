"""Which frames a round of adaptation learns from, and when it begins."""

from __future__ import annotations

import torch

from maskcast.methods.eosvos.online_adaptation import (
    AnnotatedFrame,
    is_kept,
    opens_round,
    past_offsets,
    round_frames,
    with_absence,
)


def test_rounds_begin_every_interval_after_the_first_range():
    assert [n for n in range(1, 18) if opens_round(n, 5)] == [6, 11, 16]


def test_a_round_learns_from_frames_three_and_four_before_it():
    assert list(past_offsets(5, 3)) == [3, 4]
    assert [n for n in range(1, 12) if is_kept(n, 5, 3)] == [2, 3, 7, 8]


def test_a_batch_of_one_learns_from_the_given_frame_alone():
    assert not any(is_kept(n, 5, 1) for n in range(1, 30))


def test_lost_frames_are_passed_over_and_nearer_ones_come_first():
    frames = [
        AnnotatedFrame(torch.zeros(3, 2, 2), torch.full((2, 2), shown, dtype=torch.bool))
        for shown in (True, True, False, True)
    ]
    assert round_frames(frames[:1], frames[1:]) == (frames[0], frames[3], frames[1])


def test_the_last_frame_of_each_of_the_latest_four_absences_is_kept():
    marked = [
        AnnotatedFrame(torch.zeros(3, 2, 2), torch.zeros(2, 2, dtype=torch.bool)) for _ in range(8)
    ]
    kept = ()
    for frame, goes_on in zip(marked, [0, 0, 1, 1, 0, 0, 0, 1], strict=True):
        kept = with_absence(kept, frame, goes_on=bool(goes_on))
    assert kept == (marked[3], marked[4], marked[5], marked[7])
