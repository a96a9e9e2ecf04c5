"""A forward pass that pauses before a frame, and passes that are taken one at a time."""

from __future__ import annotations

from runs.small_run import BOTH, LATE, masks_in, run_into


def test_a_pass_pauses_before_a_frame_and_continues_to_equal_bits(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_into(whole)
    card = run_into(parts, until=5)
    assert (card.status, card.frames, card.forward_finished) == ("interrupted", 5, False)
    steps: list[int] = []
    card = run_into(parts, steps=steps)
    assert (card.status, steps[0]) == ("finished", 5)
    assert masks_in(parts) == masks_in(whole)


def test_a_pause_before_frames_that_are_there_computes_nothing(tmp_path):
    run_into(tmp_path, until=8)
    steps: list[int] = []
    card = run_into(tmp_path, until=3, steps=steps)
    assert (card.frames, steps) == (8, [])


def test_a_backward_pass_needs_only_the_frames_it_begins_on(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run_into(whole, LATE, settings=BOTH)
    card = run_into(parts, LATE, settings=BOTH, until=9)
    assert (card.frames, card.status) == (9, "interrupted")
    assert card.frames_backward == 9
    steps: list[int] = []
    card = run_into(parts, LATE, settings=BOTH, steps=steps)
    assert (card.status, steps) == ("finished", [9, 10, 11])
    assert masks_in(parts) == masks_in(whole)


def test_a_run_in_both_directions_is_not_finished_without_its_backward_pass(tmp_path):
    card = run_into(tmp_path, LATE, settings=BOTH, passes=("frames",))
    assert (card.status, card.forward_finished, card.frames_backward) == ("interrupted", True, 0)
