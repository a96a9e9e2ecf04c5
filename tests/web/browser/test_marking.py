"""Scenarios 3 to 5: brush, eraser, polygon, box, owners of pixels, undo and redo."""

from __future__ import annotations

import numpy as np
import pytest

from maskcast.io.label_maps import write_label_map
from web.browser.application import Workbench, read_labels
from web.browser.clips import SIZE, green_box, red_box

pytestmark = pytest.mark.browser


def disc_line(start: tuple[float, float], end: tuple[float, float], radius: float) -> np.ndarray:
    """Return the pixels whose centre is at most a radius from a line, by sampling the line."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    nearest = np.full(SIZE, np.inf)
    for share in np.linspace(0, 1, 4001):
        x = start[0] + share * (end[0] - start[0])
        y = start[1] + share * (end[1] - start[1])
        nearest = np.minimum(nearest, np.hypot(columns + 0.5 - x, rows + 0.5 - y))
    return nearest <= radius


def rectangle(box: tuple[int, int, int, int]) -> np.ndarray:
    left, top, right, bottom = box
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return mask


def differs(a: np.ndarray, b: np.ndarray) -> int:
    return int(np.count_nonzero(a != b))


def prompts(bench: Workbench, frame: int) -> np.ndarray:
    return read_labels(bench.run / "prompts" / f"{frame:05d}.png")


def test_brush_eraser_polygon_and_box_give_the_expected_pixels(bench):
    bench.brush(20)
    start, end = (60.0, 50.0), (120.0, 60.0)
    bench.stroke(start, end)
    # The pointer moves on whole pixels of the screen, so points may be off by a fraction of one.
    expected = disc_line(start, end, 10)
    assert differs(prompts(bench, 0) == 1, expected) < 0.02 * expected.sum()
    bench.tool("Eraser")
    bench.stroke((90, 40), (90, 70))
    assert prompts(bench, 0)[55, 90] == 0
    bench.press("a")
    bench.square(green_box(0))
    assert differs(prompts(bench, 0) == 2, rectangle(green_box(0))) <= 2 * (40 + 40)
    bench.press("a")
    bench.tool("Box")
    left, top, right, bottom = red_box(0)
    bench.stroke((left, top), (right, bottom))
    bench.wait("(maskcast.session.project.value.prompts[0] ?? []).includes(3)")
    bench.settled()
    assert differs(prompts(bench, 0) == 3, rectangle(red_box(0))) <= 2 * (40 + 40)
    np.testing.assert_array_equal(bench.shown(), prompts(bench, 0))
    bench.shot("03-marked")


def test_painting_takes_pixels_and_a_lock_keeps_them(bench):
    bench.square((40, 20, 80, 60))
    bench.press("a")
    bench.square((60, 20, 100, 60))
    owners = prompts(bench, 0)
    assert [np.count_nonzero(owners == 1), np.count_nonzero(owners == 2)] == [800, 1600]
    bench.page.get_by_role("button", name="Lock object 2").click()
    bench.wait("maskcast.session.project.value.objects[1].locked")
    bench.choose_object(1)
    bench.square((40, 20, 100, 80))
    owners = prompts(bench, 0)
    assert [np.count_nonzero(owners == 1), np.count_nonzero(owners == 2)] == [2000, 1600]
    bench.choose_object(2)
    bench.tool("Brush")
    bench.stroke((10, 10), (20, 10))
    bench.page.get_by_text("is locked").wait_for()
    np.testing.assert_array_equal(prompts(bench, 0), owners)
    bench.shot("04-owners-and-lock")


def marked(bench: Workbench) -> dict[str, list[int]]:
    return bench.project()["prompts"]


def test_undo_and_redo_of_each_kind(bench):
    bench.square((40, 20, 80, 60))
    bench.press("a")
    bench.square((100, 20, 140, 60))
    bench.go_to(7)
    bench.square((100, 100, 140, 140))
    assert marked(bench) == {"0": [1, 2], "7": [2]}
    bench.press("Control+z")  # on frame 7, where the last step was
    bench.wait("!maskcast.session.project.value.prompts[7]")
    bench.settled()
    assert np.count_nonzero(bench.shown()) == 0
    bench.press("Control+z")  # the next step lies on frame 0: only go there
    bench.wait("maskcast.look.frame.value === 0")
    bench.page.get_by_text("Undo again to undo").wait_for()
    bench.settled()
    assert marked(bench) == {"0": [1, 2]}
    bench.shot("05-undo-asks")
    bench.press("Control+z")
    bench.wait("maskcast.session.project.value.prompts[0].length === 1")
    bench.settled()
    assert set(np.unique(bench.shown())) == {0, 1}
    bench.press("Control+z")  # the object itself
    bench.wait("maskcast.session.project.value.objects.length === 1")
    for condition in ("objects.length === 2", "prompts[0]?.length === 2"):
        bench.press("Control+Shift+z")
        bench.wait(f"maskcast.session.project.value.{condition}")
        bench.settled()
    assert np.count_nonzero(bench.shown() == 2) == 1600
    np.testing.assert_array_equal(bench.shown(), prompts(bench, 0))


def test_names_colours_ends_and_deletion_can_be_undone(bench):
    bench.square((40, 20, 80, 60))
    bench.more(1, "Rename")
    bench.page.get_by_label("Name of object 1").fill("runner")
    bench.press("Enter")
    bench.wait("maskcast.session.project.value.objects[0].name === 'runner'")
    bench.settled()
    bench.go_to(5)
    for ends in (1, 0):
        bench.press("x")
        bench.wait(f"maskcast.session.project.value.ends.length === {ends}")
        bench.settled()
    bench.go_to(0)
    bench.press("Delete")
    bench.wait("!maskcast.session.project.value.prompts[0]")
    bench.settled()
    assert np.count_nonzero(bench.shown()) == 0
    bench.undo()
    assert marked(bench) == {"0": [1]}
    bench.undo()
    assert bench.project()["ends"] == [[5, 1]]
    bench.undo()
    assert bench.project()["ends"] == []
    bench.undo()
    assert bench.project()["objects"][0]["name"] != "runner"
    bench.more(1, "Delete object")
    bench.wait("maskcast.session.project.value.objects.length === 0")
    bench.undo()
    assert np.count_nonzero(bench.shown() == 1) == 0  # shown on frame 5
    bench.go_to(0)
    assert np.count_nonzero(bench.shown() == 1) == 1600


def test_a_stroke_can_be_dropped_while_it_is_drawn(bench):
    mouse = bench.page.mouse
    mouse.move(*bench.at(50, 50))
    mouse.down()
    mouse.move(*bench.at(120, 60), steps=5)
    assert np.count_nonzero(bench.shown()) > 0
    bench.press("Control+z")
    mouse.up()
    bench.settled()
    assert np.count_nonzero(bench.shown()) == 0
    assert marked(bench) == {}
    bench.tool("Polygon")
    for corner in ((10, 10), (60, 10), (60, 50), (300, 170)):
        mouse.click(*bench.at(*corner))
    bench.press("Backspace", "Enter")
    bench.wait("maskcast.session.project.value.prompts[0]?.length === 1")
    bench.settled()
    assert bench.shown()[150, 250] == 0


def test_erasing_all_of_a_known_object_marks_it_as_absent(bench):
    bench.square((40, 20, 80, 60))
    bench.go_to(5)
    bench.square((40, 20, 80, 60))
    bench.tool("Eraser")
    bench.brush(120)
    bench.stroke((60, 40), (62, 40))
    bench.wait("maskcast.session.project.value.absent[5]?.includes(1)")
    bench.page.get_by_text("marked as absent").wait_for()
    bench.settled()
    bench.press("Control+z")
    bench.wait("!maskcast.session.project.value.absent[5]")
    bench.go_to(9)  # where nothing is shown: that it is absent can be said all the same
    bench.more(1, "Absent on this frame")
    bench.wait("maskcast.session.project.value.absent[9]?.includes(1)")
    bench.settled()
    bench.page.locator(".toast").get_by_role("button", name="Ends here").last.click()
    bench.wait("maskcast.session.project.value.ends.length === 1")
    project = bench.project()
    assert (project["ends"], project["absent"]) == ([[9, 1]], {})


def test_a_folder_of_masks_is_imported(bench, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    for frame in (0, 5):
        label_map = np.zeros(SIZE, np.int32)
        for object_id, box in {1: red_box(frame), 2: green_box(frame)}.items():
            label_map[rectangle(box)] = object_id
        write_label_map(folder / f"{frame:05d}.png", label_map)
    (folder / "notes.txt").write_text("not a mask")
    bench.page.get_by_role("button", name=": project").click()
    with bench.page.expect_file_chooser() as chosen:
        bench.page.get_by_role("menuitem", name="Import a folder of masks…").click()
    chosen.value.set_files(folder)
    bench.page.get_by_text("Imported.").wait_for()
    bench.settled()
    assert marked(bench) == {"0": [1, 2], "5": [1, 2]}
    np.testing.assert_array_equal(bench.shown() == 2, rectangle(green_box(0)))
    assert bench.project()["undo"]["did"] == "imported masks"
