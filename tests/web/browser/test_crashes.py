"""Scenarios 5, 10, 12, 13, 18 and 23: restarts, kills, two tabs, a full disk."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from web.browser.application import read_labels
from web.browser.clips import picture_of, red_box
from web.browser.test_marking import marked
from web.browser.test_tracking import HOLD, assert_covers, mark_both, masks_of

pytestmark = pytest.mark.browser

AWAY = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET", "ERR_EMPTY_")


def test_a_kill_in_the_middle_of_a_job_loses_nothing(serve, visit, root):
    server = serve("clip.mp4", step_seconds=0.2)
    bench = visit(server).wait_for_workbench()
    run = bench.run
    mark_both(bench)
    bench.more(1, "Rename")
    bench.page.get_by_label("Name of object 1").fill("runner")
    bench.press("Enter")
    bench.wait("maskcast.session.project.value.objects[0].name === 'runner'")
    bench.start_tracking()
    bench.until(lambda: len(masks_of(bench)) >= 4)
    server.pace(HOLD)
    bench.expect_trouble(*AWAY)
    server.kill()
    bench.page.get_by_text("The server has stopped; nothing is lost.").wait_for()
    bench.shot("12-server-gone")
    again = visit(serve("clip.mp4")).wait_for_workbench()
    assert again.project()["prompts"] == {"0": [1, 2]}
    assert np.count_nonzero(read_labels(run / "prompts" / "00000.png")) > 3000
    assert again.project()["undo"] is not None
    assert again.track()["state"] == "done"
    again.press("End")
    again.settled()
    assert_covers(again.shown() == 1, red_box(39))
    again.go_to(0)
    again.undo()
    assert again.project()["objects"][0]["name"] == "object 1"
    again.undo()
    assert again.project()["prompts"] == {"0": [1]}
    for condition in ("prompts[0].length === 2", "objects[0].name === 'runner'"):
        again.press("Control+Shift+z")
        again.wait(f"maskcast.session.project.value.{condition}")
        again.settled()
    assert set(np.unique(again.shown())) == {0, 1, 2}


def test_an_edit_while_tracking_is_taken_up(serve, visit):
    server = serve("clip.mp4", step_seconds=0.2)
    bench = visit(server).wait_for_workbench()
    mark_both(bench)
    bench.go_to(3)
    bench.choose_object(1)
    bench.tool("Brush")
    bench.brush(10)
    bench.press("Enter")
    bench.until(lambda: len(masks_of(bench)) >= 5)
    server.pace(HOLD)
    bench.wait("maskcast.session.results.stampOf(3) !== null")
    bench.stroke((200, 20), (220, 20))
    assert len(masks_of(bench)) < 40
    bench.shot("10-edit-while-tracking")
    bench.wait("maskcast.session.project.value.prompts[3]?.includes(1)")
    server.pace(0)
    bench.wait("maskcast.session.results.done === 40")
    bench.job_ended()
    bench.wait("maskcast.session.project.value.outdated_from === null")
    bench.settled()
    assert (bench.shown() == 1)[20, 210]


def test_closing_the_tab_loses_no_stroke_and_no_job(bench, visit, shared_server):
    mark_both(bench)
    bench.start_tracking()
    run = bench.run
    mouse = bench.page.mouse
    bench.tool("Brush")
    mouse.move(*bench.at(200, 150))
    mouse.down()
    mouse.move(*bench.at(220, 150), steps=3)
    bench.page.close()
    again = visit(shared_server).wait_for_workbench()
    assert again.run == run
    assert again.project()["prompts"] == {"0": [1, 2]}
    again.until(lambda: len(masks_of(again)) == 40)


def test_a_stale_edit_of_another_tab_is_refused_and_can_be_repeated(bench, visit, shared_server):
    bench.square((40, 20, 80, 60))
    other = visit(shared_server, deaf=True).wait_for_workbench()
    assert np.count_nonzero(other.shown() == 1) == 1600
    bench.square((100, 20, 140, 60))
    other.expect_trouble("409")
    other.go_to(4)
    other.square((10, 10, 30, 30))
    repeat = other.page.get_by_role("button", name="Repeat")
    repeat.wait_for()
    other.shot("18-stale")
    other.settled()
    assert marked(bench) == marked(other) == {"0": [1]}
    repeat.click()
    for tab in (bench, other):
        tab.wait("maskcast.session.project.value.prompts[4]?.length === 1")


def test_edits_of_another_tab_are_shown(bench, visit, shared_server):
    other = visit(shared_server).wait_for_workbench()
    bench.square((40, 20, 80, 60))
    other.wait("maskcast.session.project.value.prompts[0]?.length === 1")
    other.settled()
    assert np.count_nonzero(other.shown() == 1) == 1600


def test_a_full_disk_is_shown_and_the_stroke_is_sent_again(bench):
    full = {"error": {"kind": "OutputError", "message": "no space left on device"}}
    bench.expect_trouble("507")
    bench.page.route("**/api/prompts/**", lambda route: route.fulfill(status=507, json=full))
    mouse = bench.page.mouse
    mouse.move(*bench.at(50, 50))
    mouse.down()
    mouse.move(*bench.at(90, 50), steps=3)
    mouse.up()
    bench.page.get_by_text("Not saved: the disk is full").wait_for()
    bench.shot("23-disk-full")
    bench.page.unroute("**/api/prompts/**")
    bench.wait("maskcast.session.edits.state.value === 'saved'")
    assert np.count_nonzero(read_labels(bench.run / "prompts" / "00000.png")) > 500


def test_what_failed_is_asked_for_again_when_the_run_is_opened_again(bench):
    closed = {"error": {"kind": "UsageError", "message": "no project is open"}}
    bench.expect_trouble("400 ")
    bench.page.route("**/api/frames/**", lambda route: route.fulfill(status=400, json=closed))
    bench.page.evaluate("maskcast.session.goTo(39)")  # not read in advance
    bench.page.get_by_text("This frame cannot be shown").wait_for()
    bench.page.unroute("**/api/frames/**")
    run = json.dumps({"run": bench.project()["run"]})
    bench.page.evaluate(f"maskcast.session.open({run})")
    bench.settled()
    bench.page.get_by_text("This frame cannot be shown").wait_for(state="detached")


def test_masks_that_failed_are_asked_for_again_when_there_are_others(bench):
    mark_both(bench)
    bench.track("next 25 frames")
    moved = {"error": {"kind": "MissingFileError", "message": "the mask is not there"}}
    bench.expect_trouble("404 ")
    bench.page.route("**/api/labels/*/20.png*", lambda route: route.fulfill(status=404, json=moved))
    bench.page.reload()
    bench.wait_for_workbench()
    bench.go_to(20)
    assert np.count_nonzero(bench.shown()) == 0
    bench.page.unroute("**/api/labels/*/20.png*")
    bench.track("to the end")
    bench.go_to(20)
    assert_covers(bench.shown() == 1, red_box(20))


def test_a_damaged_frame_is_explained_and_can_be_held(shared_server, shared_root, visit):
    folder = shared_root / "damaged"
    folder.mkdir()
    for frame in range(6):
        Image.fromarray(picture_of(frame)).save(folder / f"{frame:03d}.png")
    (folder / "003.png").write_bytes(b"damaged")
    tab = visit(shared_server).open("damaged", "runs/damaged")
    tab.expect_trouble("422 ")
    tab.square(red_box(0))
    tab.page.evaluate("maskcast.session.goTo(3)")
    tab.page.get_by_text("This frame cannot be shown").wait_for()
    tab.shot("23-damaged-frame")
    tab.page.evaluate("maskcast.session.goTo(2)")
    tab.settled()
    assert tab.track()["state"] == "failed"
    key = tab.project()["key"]
    tab.expect_trouble("400 .*/api/")  # what was under way for the project that is closed
    tab.page.get_by_role("button", name="Hold the frame before it").click()
    tab.wait(f"![null, undefined, '{key}'].includes(maskcast.session.project.value?.key)")
    tab.wait("maskcast.stage.value !== null && maskcast.look.frame.value === 2")
    tab.go_to(3)
    assert tab.track()["state"] == "done"
    tab.settled()
    assert_covers(tab.shown() == 1, red_box(2))


def test_a_killed_model_worker_stops_its_job_with_a_reason(serve, visit):
    server = serve("clip.mp4", step_seconds=0.2)
    bench = visit(server).wait_for_workbench()
    mark_both(bench)
    bench.start_tracking()
    bench.until(lambda: len(masks_of(bench)) >= 4)
    server.pace(HOLD)
    server.kill_model_worker()
    assert bench.job_ended()["state"] == "stopped"
    bench.page.get_by_text("Tracking stopped").first.wait_for()
    server.pace(0)
    bench.shot("23-worker-killed")
    bench.page.get_by_role("button", name="Go on").click()
    bench.wait("maskcast.session.results.done === 40")
