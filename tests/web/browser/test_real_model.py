"""Scenarios 8, 9, 15 and 16 with the small model and the real command."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from maskcast.io.label_maps import write_label_map
from maskcast.runs.card import read_card
from web.browser.application import Workbench, search_path
from web.browser.clips import SIZE, green_box, red_box, write_clip
from web.browser.test_tracking import masks_of

pytestmark = pytest.mark.browser

COUNT = 12


def command_line(root: Path, *arguments: str) -> None:
    """Run maskcast in a folder."""
    environment = {**os.environ, "PYTHONPATH": search_path(), "OMP_NUM_THREADS": "1"}
    code = "import sys; from maskcast.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def same(a: dict[str, bytes], b: dict[str, bytes]) -> list[str]:
    return [name for name in sorted(a) if a[name] == b.get(name)]


def correct(bench: Workbench, frame: int) -> None:
    """Add a strip below the object to its mask."""
    bench.go_to(frame)
    left, _, right, bottom = red_box(frame)
    bench.tool("Brush")
    bench.brush(16)
    bench.stroke((left + 4, bottom + 4), (right - 4, bottom + 4))
    bench.wait(f"maskcast.session.project.value.outdated_from === {frame}")


def test_the_application_goes_on_with_a_run_of_the_command_line_and_back(serve, visit, root):
    write_clip(root / "short.mp4", COUNT)
    masks = root / "masks"
    masks.mkdir()
    first = np.zeros(SIZE, np.int32)
    for object_id, (left, top, right, bottom) in {1: red_box(0), 2: green_box(0)}.items():
        first[top:bottom, left:right] = object_id
    write_label_map(masks / "00000.png", first)
    common = ["segment", "short.mp4", "--masks", str(masks), "--output", "run"]
    command_line(root, *common, "--swap", "6:1,2")
    run = root / "run"
    by_command = {path.name: path.read_bytes() for path in run.glob("[0-9]*.png")}

    server = serve(str(run), real=True)
    bench = visit(server).wait_for_workbench()
    project = bench.project()
    assert (project["outdated_from"], project["renames"]) == (None, [[6, "swap", [1, 2]]])
    assert bench.page.locator(".sign.rename").count() == 2
    bench.choose_object(2)
    correct(bench, 8)  # the red object is object 2 there
    assert bench.track()["state"] == "done"
    bench.shot("15-after-the-command-line")
    by_page = masks_of(bench)
    assert same(by_command, by_page)[:8] == [f"{frame:05d}.png" for frame in range(8)]
    assert by_command["00008.png"] != by_page["00008.png"]
    again = shlex.split(bench.project()["command"])
    bench.expect_trouble("ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY")
    server.stop()
    bench.page.close()

    steps = read_card(run).steps
    command_line(root, *again[1:])
    assert {path.name: path.read_bytes() for path in run.glob("[0-9]*.png")} == by_page
    assert read_card(run).steps == steps


def test_corrections_and_the_command_line_go_on_with_one_folder(serve, visit, root):
    write_clip(root / "short.mp4", COUNT)
    server = serve("short.mp4", real=True)
    bench = visit(server).wait_for_workbench()
    bench.square(red_box(0))
    bench.go_to(5)
    bench.press("o")
    bench.go_to(0)
    assert bench.track("to the out point")["state"] == "done"
    run = bench.run
    assert len(masks_of(bench)) == 6
    bench.page.evaluate("maskcast.session.toasts.shown.value = []")
    bench.page.get_by_role("button", name=": project").click()
    bench.page.get_by_role("menuitem", name="Copy the command line").click()
    said = bench.page.locator(".toast span").first.inner_text()
    command = shlex.split(said.removeprefix("Copied: "))
    bench.expect_trouble("ERR_CONNECTION", "ERR_INCOMPLETE", "ERR_EMPTY")
    server.stop()
    bench.page.close()

    command_line(root, *command[1:])
    finished = {path.name: path.read_bytes() for path in run.glob("[0-9]*.png")}
    assert len(finished) == COUNT
    prompts = str(run / "prompts")
    command_line(root, "segment", "short.mp4", "--masks", prompts, "--output", "alone")
    alone = {path.name: path.read_bytes() for path in (root / "alone").glob("[0-9]*.png")}
    assert same(finished, alone) == sorted(finished)
    shutil.rmtree(root / "alone")

    bench = visit(serve(str(run), real=True)).wait_for_workbench()
    assert bench.project()["outdated_from"] is None
    correct(bench, 8)
    assert bench.track()["state"] == "done"
    after = masks_of(bench)
    assert same(finished, after)[:8] == [f"{frame:05d}.png" for frame in range(8)]
    assert finished["00008.png"] != after["00008.png"]
    bench.shot("16-corrected")
    job = bench.value("maskcast.session.job.value.id")
    bench.undo()
    bench.wait("maskcast.session.project.value.outdated_from === null")
    bench.until(lambda: masks_of(bench) == finished)
    assert bench.value("maskcast.session.job.value.id") == job  # no step of the model
