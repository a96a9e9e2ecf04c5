"""Scenarios 6, 7, 8 to 11 and 14 with the stand-in: tracking, corrections, ends, flags."""

from __future__ import annotations

import re

import numpy as np
import pytest

from web.browser.application import Workbench
from web.browser.clips import JUMP, LOST, green_box, red_box

pytestmark = pytest.mark.browser

HOLD = 600.0
"""Seconds for a frame: the job stands still until the pace is set again."""


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


@pytest.fixture
def shared_pace(shared_server):
    """Set the pace of the stand-in on the shared server for one test."""
    yield shared_server.pace
    shared_server.pace(0)


def test_forward_with_progress_stop_and_going_on(bench, shared_pace):
    mark_both(bench)
    bench.start_tracking("next 25 frames")
    assert bench.job_ended()["state"] == "done"
    assert len(masks_of(bench)) == 26
    bench.go_to(25)
    assert_covers(bench.shown() == 1, red_box(25))
    assert_covers(bench.shown() == 2, green_box(25))
    bench.shot("06-tracked")
    shared_pace(1.0)
    bench.start_tracking("to the end")
    bench.until(lambda: len(masks_of(bench)) >= 28)
    shared_pace(HOLD)
    bench.wait("maskcast.session.results.done >= 28")
    progress = bench.page.get_by_role("progressbar", name="Progress")
    assert re.fullmatch(r"forward · \d+ of 40.*", bench.page.locator(".job-text").inner_text())
    assert 0 < bench.value("document.querySelector('.job progress').value") < 1
    bench.shot("06-progress")
    bench.page.get_by_role("button", name="Stop", exact=True).click()
    bench.page.get_by_text("stopping after this frame").wait_for()
    shared_pace(0)
    assert bench.job_ended()["state"] == "stopped"
    stopped = masks_of(bench)
    assert 28 <= len(stopped) < 40
    progress.wait_for(state="detached")
    bench.page.get_by_role("button", name="Track to the end").click()
    bench.wait("maskcast.session.results.done === 40")
    assert bench.job_ended()["state"] == "done"
    assert stopped.items() <= masks_of(bench).items()
    bench.press("End")
    bench.settled()
    assert_covers(bench.shown() == 1, red_box(39))


def test_backward_alone_makes_the_frames_before_the_marks(bench):
    bench.go_to(12)
    mark_both(bench, 12)
    assert bench.track("backward to the beginning")["state"] == "done"
    assert sorted(masks_of(bench)) == [f"{frame:05d}.png" for frame in range(13)]
    assert bench.value("maskcast.session.results.done") == 13
    for frame in (0, 11):
        bench.go_to(frame)
        assert_covers(bench.shown() == 1, red_box(frame))
        assert_covers(bench.shown() == 2, green_box(frame))
    bench.shot("07-backward")


def test_both_ways_from_a_frame_in_the_middle(bench):
    bench.go_to(20)
    mark_both(bench, 20)
    assert bench.track("both ways")["state"] == "done"
    for frame in (0, 39):
        bench.go_to(frame)
        assert_covers(bench.shown() == 1, red_box(frame))
    bench.shot("07-both-ways")


def test_a_correction_remakes_later_frames_only_and_its_undo_brings_them_back(visit, shared_server):
    bench = visit(shared_server).open("hundred.mp4", "runs/hundred")
    mark_both(bench)
    bench.track()
    before = masks_of(bench)
    bench.go_to(40)
    bench.choose_object(2)  # let the objects change places
    bench.square(red_box(40))
    bench.choose_object(1)
    bench.square(green_box(40))
    bench.wait("maskcast.session.project.value.outdated_from === 40")
    bench.go_to(60)
    bench.shot("08-outdated")
    assert bench.track()["state"] == "done"
    after = masks_of(bench)
    assert len(after) == len(before) == 100
    assert [name for name in before if before[name] == after[name]] == sorted(before)[:40]
    bench.go_to(99)
    assert_covers(bench.shown() == 2, red_box(99))
    job = bench.value("maskcast.session.job.value.id")
    bench.undo()
    bench.undo()
    bench.wait("maskcast.session.project.value.outdated_from === null")
    bench.until(lambda: masks_of(bench) == before)
    assert bench.value("maskcast.session.job.value.id") == job  # no step of the method
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


def test_a_planted_jump_and_a_loss_are_flagged_visited_and_checked_off(visit, shared_server):
    bench = visit(shared_server).open("planted.mp4", "runs/planted")
    mark_both(bench)
    bench.track()
    bench.wait("maskcast.session.flags.value.length === 3")
    flags = bench.value("maskcast.session.flags.value")
    spots = {(flag["frame"], flag["slot"], flag["kind"]) for flag in flags}
    assert spots == {(LOST.start, 2, "lost"), (LOST.stop, 2, "returned"), (JUMP, 1, "jump")}
    bench.go_to(0)
    for frame, slot in ((LOST.start, 2), (LOST.stop, 2), (JUMP, 1), (LOST.start, 2)):
        bench.press("n")
        bench.wait(f"maskcast.look.frame.value === {frame}")
        assert bench.value("maskcast.look.slot.value") == slot
        bench.settled()
    assert not (bench.shown() == 2).any()
    bench.shot("14-flags")
    bench.press("c")
    bench.wait("maskcast.session.flags.value.filter((flag) => !flag.seen).length === 2")
    for frame in (LOST.stop, JUMP):
        bench.page.get_by_role("button", name=f"Checked: frame {frame}").click()
    bench.page.get_by_text("No frame stands out.").wait_for()
    bench.page.reload()
    bench.wait_for_workbench()
    bench.page.get_by_text("No frame stands out.").wait_for()
