"""Scenarios 6, 7, 8 to 11 and 14 with the stand-in: tracking, corrections, ends, flags."""

from __future__ import annotations

import numpy as np
import pytest

from web.browser.application import Workbench
from web.browser.clips import green_box, red_box

pytestmark = pytest.mark.browser


def mark_both(bench: Workbench, frame: int = 0) -> None:
    """Mark the red square as object 1 and the green one as object 2."""
    bench.square(red_box(frame))
    bench.press("a")
    bench.square(green_box(frame))


def masks_of(bench: Workbench) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(bench.run.glob("[0-9]*.png"))}


def assert_covers(mask: np.ndarray, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    truth = np.zeros(mask.shape, bool)
    truth[top:bottom, left:right] = True
    assert np.count_nonzero(mask & truth) > 0.8 * np.count_nonzero(mask | truth)


def test_forward_with_progress_stop_and_going_on(bench):
    mark_both(bench)
    bench.start_tracking("next 25 frames")
    assert bench.job_ended()["state"] == "done"
    assert len(masks_of(bench)) == 26
    bench.go_to(25)
    assert_covers(bench.shown() == 1, red_box(25))
    assert_covers(bench.shown() == 2, green_box(25))
    bench.shot("06-tracked")
    bench.start_tracking("to the end")
    assert bench.job_ended()["state"] == "done"
    assert len(masks_of(bench)) == 40
    bench.press("End")
    bench.settled()
    assert_covers(bench.shown() == 1, red_box(39))


def test_both_ways_from_a_frame_in_the_middle(bench):
    bench.go_to(20)
    mark_both(bench, 20)
    assert bench.track("both ways")["state"] == "done"
    for frame in (0, 39):
        bench.go_to(frame)
        assert_covers(bench.shown() == 1, red_box(frame))
    bench.shot("07-both-ways")


def test_a_correction_remakes_later_frames_only_and_its_undo_brings_them_back(bench):
    mark_both(bench)
    bench.track()
    before = masks_of(bench)
    bench.go_to(16)
    bench.choose_object(2)  # let the objects change places
    bench.square(red_box(16))
    bench.choose_object(1)
    bench.square(green_box(16))
    bench.wait("maskcast.session.project.value.outdated_from === 16")
    bench.go_to(20)
    bench.shot("08-outdated")
    assert bench.track()["state"] == "done"
    after = masks_of(bench)
    assert [name for name in before if before[name] == after[name]] == sorted(before)[:16]
    bench.undo()
    bench.undo()
    bench.wait("maskcast.session.project.value.outdated_from === null")
    bench.until(lambda: masks_of(bench) == before)
    bench.settled()
    bench.shot("09-correction-undone")


def test_an_object_ends_and_begins_again(bench):
    mark_both(bench)
    bench.track()
    bench.go_to(10)
    bench.choose_object(2)
    bench.press("x")
    bench.wait("maskcast.session.project.value.ends.length === 1")
    bench.go_to(30)
    bench.square(green_box(30))
    bench.track()
    for frame, present in ((9, True), (10, False), (29, False), (30, True), (39, True)):
        bench.go_to(frame)
        assert bool((bench.shown() == 2).any()) == present, frame
    bench.shot("11-ends-and-begins")


def test_flags_are_visited_and_checked_off(bench):
    mark_both(bench)
    bench.track()
    bench.page.evaluate("maskcast.session.goTo(0)")
    # Take most of the red object away from the stand-in: it will look like a jump.
    bench.go_to(12)
    bench.choose_object(1)
    bench.tool("Eraser")
    bench.brush(200)
    bench.stroke((60, 50), (62, 50))
    bench.track()
    bench.wait("maskcast.session.flags.value.length > 0")
    flags = bench.value("maskcast.session.flags.value")
    bench.page.evaluate("maskcast.session.goTo(0)")
    bench.press("n")
    frames = {flag["frame"] for flag in flags}
    assert bench.value("maskcast.look.frame.value") in frames
    bench.settled()
    bench.shot("14-flags")
    bench.press("c")
    bench.wait(f"maskcast.session.flags.value.filter((f) => !f.seen).length < {len(flags)}")
