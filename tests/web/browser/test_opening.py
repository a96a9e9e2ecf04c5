"""Scenarios 1, 2, 17 and 21: opening, uploading, exporting, unusual videos."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator
from pycocotools import mask as coco

from fixtures.video_files import VideoRecipe, write_numbered_video
from maskcast.web.exports_list import OFFERS
from web.browser.application import Workbench, read_labels
from web.browser.clips import picture_of, write_clip
from web.browser.test_tracking import mark_both

pytestmark = pytest.mark.browser

FEW = 6
"""Number of frames that are exported."""


def test_loading_the_page_again_keeps_the_view(bench):
    bench.square((40, 20, 80, 60))
    bench.go_to(7)
    bench.tool("Eraser")
    bench.brush(33)
    bench.page.mouse.move(*bench.at(100, 60))
    bench.page.mouse.wheel(0, -400)
    bench.press("t", "i")
    names = ("frame", "tool", "brush", "tint", "inPoint", "view")
    before = [bench.value(f"maskcast.look.{name}.value") for name in names]
    bench.page.reload()
    bench.wait_for_workbench()
    assert [bench.value(f"maskcast.look.{name}.value") for name in names] == before
    assert before[5]["scale"] > 3
    assert "token" not in bench.page.url
    bench.shot("01-loaded-again")


def test_the_start_page_lists_and_opens(shared_server, shared_root, visit):
    tab = visit(shared_server)
    tab.expect_trouble("400 .*/api/")
    tab.page.evaluate("maskcast.session.api.close().catch(() => 0)")
    tab.page.reload()
    tab.page.get_by_role("button", name="clip.mp4").wait_for()
    tab.page.get_by_role("heading", name="Recent").wait_for()
    tab.shot("01-start")
    tab.page.get_by_role("button", name="clip.mp4").click()
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_label("Stop before").fill("9")
    dialog.get_by_label("Run folder").fill("runs/short")
    assert dialog.get_by_label("Weights").input_value() == "lwl-small"
    tab.shot("01-open-dialog")
    dialog.get_by_role("button", name="Open").click()
    tab.wait_for_workbench()
    assert tab.project()["video"]["count"] == 9
    assert tab.run == shared_root / "runs/short"


def test_a_new_page_takes_nothing_from_jobs_of_other_projects(bench, visit, shared_server):
    mark_both(bench)
    bench.track("next 25 frames")
    other = visit(shared_server).open("clip.mp4", "runs/other-project")
    other.wait("maskcast.session.api.sent['GET tracks'] > 0")
    other.settled()
    assert other.value("maskcast.session.results.done") == 0
    assert other.value("maskcast.session.results.tracks.size") == 0
    assert other.value("maskcast.session.job.value") is None
    assert other.value("maskcast.session.toasts.shown.value") == []


def uploads(root: Path) -> list[str]:
    folder = root / "uploads"
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def test_uploads_show_progress_can_be_cancelled_and_are_checked(
    shared_server, shared_root, visit, tmp_path
):
    tab = visit(shared_server)
    tab.page.evaluate("maskcast.session.api.close().catch(() => 0)")
    tab.page.reload()
    field = tab.page.get_by_label("Video to upload")
    field.wait_for(state="attached")
    (tmp_path / "notes.mp4").write_text("this is no video\n" * 50)
    tab.expect_trouble("4[0-9][0-9]")
    field.set_input_files(tmp_path / "notes.mp4")
    alert = tab.page.locator(".drop [role=alert]")
    alert.wait_for()
    assert alert.inner_text().startswith("notes.mp4 is not a supported video")
    tab.shot("02-refused")
    assert uploads(shared_root) == []
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(300 * 2**20)
    session = tab.context.new_cdp_session(tab.page)
    session.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2**21}
    session.send("Network.emulateNetworkConditions", slow)
    field.set_input_files(large)
    tab.page.locator(".drop progress").wait_for()
    tab.shot("02-uploading")
    tab.page.get_by_role("button", name="Cancel").click()
    tab.page.locator(".drop progress").wait_for(state="detached")
    session.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    tab.until(lambda: uploads(shared_root) == [])
    shutil.copy(shared_root / "clip.mp4", tmp_path / "sent.mp4")
    field.set_input_files(tmp_path / "sent.mp4")
    tab.page.get_by_role("dialog").wait_for()
    assert uploads(shared_root) == ["sent.mp4"]
    assert "sent.mp4" in tab.page.get_by_role("dialog").inner_text()


IN_SIGHT = """
(element) => {
  const box = element.getBoundingClientRect();
  const dialog = element.closest("dialog").getBoundingClientRect();
  return box.top >= dialog.top && box.top < dialog.bottom;
}
"""


def track_a_few_and_export(bench: Workbench) -> Locator:
    """Open the dialog for the first frames, which have masks."""
    mark_both(bench)
    bench.go_to(FEW - 1)
    bench.press("o")
    bench.go_to(0)
    bench.track("to the out point")
    bench.press("Control+e")
    dialog = bench.page.get_by_role("dialog", name="Export")
    dialog.get_by_label("frames 0 to 5").check()
    return dialog


def finished(bench: Workbench, dialog: Locator) -> list[str]:
    """Make the chosen exports; return the names of their files."""
    before = bench.value("maskcast.session.job.value.id")
    dialog.get_by_role("button", name="Export").click()
    bench.wait(f"maskcast.session.job.value.id !== {before}")
    assert bench.job_ended()["state"] == "done"
    listed = bench.page.get_by_role("list", name="Finished files")
    listed.wait_for()
    row = listed.get_by_role("listitem").last
    assert row.evaluate(IN_SIGHT)
    return [row.inner_text().split()[0] for row in listed.get_by_role("listitem").all()]


def test_every_export_is_made_and_downloaded(bench):
    dialog = track_a_few_and_export(bench)
    boxes = dialog.locator(".files").get_by_role("checkbox")
    assert boxes.count() == len(OFFERS)
    for i in range(boxes.count()):
        boxes.nth(i).check()
    bench.shot("17-export-dialog")
    names = finished(bench, dialog)
    assert len(names) == len(OFFERS)
    bench.shot("17-exported")
    with bench.page.expect_download() as download:
        dialog.get_by_role("button", name="Download").nth(names.index("cutout-exr.zip")).click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len(archive.namelist()) == FEW
    check_exports(bench.run / "exports", bench)


def test_exports_follow_the_options_of_the_dialog(bench):
    dialog = track_a_few_and_export(bench)
    assert dialog.get_by_text("Options").count() == 0
    dialog.get_by_label("PNG sequence, 8 bits (zip)").check()
    dialog.get_by_label("Grow by (pixels").fill("3")
    dialog.get_by_label("one file for each object").check()
    bench.shot("17-export-options")
    assert finished(bench, dialog) == ["matte-1-grow3.zip", "matte-2-grow3.zip"]
    mask = read_labels(bench.run / "00000.png") == 1
    with Image.open(bench.run / "exports/matte-1-grow3/00000.png") as matte:
        grown = np.asarray(matte) > 127
    assert (grown & mask).sum() == mask.sum() < grown.sum()
    dialog.get_by_label("one file for each object").uncheck()
    dialog.get_by_label("object 2", exact=True).uncheck()
    assert finished(bench, dialog) == ["matte-1-grow3.zip"]
    dialog.get_by_label("object 1", exact=True).uncheck()
    assert dialog.get_by_role("button", name="Export").is_disabled()


def check_exports(folder: Path, bench: Workbench) -> None:
    """Videos have all frames, cut-outs have alpha where masks are, RLE decodes to the masks."""
    labels = [read_labels(path) for path in sorted(bench.run.glob("[0-9]*.png"))]
    with av.open(str(folder / "overlay.mp4")) as overlay:
        assert sum(1 for _ in overlay.decode(video=0)) == FEW
    with av.open(str(folder / "cutout.mov")) as video:
        frame = next(video.decode(video=0)).to_ndarray(format="rgba")
    assert np.mean((frame[:, :, 3] > 127) == (labels[0] > 0)) > 0.995
    entries = json.loads((folder / "masks.json").read_text())
    assert {(e["frame"], e["object_id"]) for e in entries} == {
        (frame, i) for frame in range(FEW) for i in (1, 2)
    }
    for entry in entries:
        mask = coco.decode(entry["segmentation"]).astype(bool)
        np.testing.assert_array_equal(mask, labels[entry["frame"]] == entry["object_id"])
    assert (folder / "tracks.csv").read_text().count("\n") > FEW
    with Image.open(folder / "contact_sheet.png") as sheet:
        assert sheet.width > 300


@pytest.mark.parametrize("size, count", [((2160, 3840), 4), ((640, 360), 5), ((180, 320), 1)])
def test_large_portrait_and_short_videos(shared_server, shared_root, visit, size, count):
    name = f"{size[1]}x{size[0]}.mp4"
    write_clip(shared_root / name, count, size)
    tab = visit(shared_server).open(name, f"runs/{name}")
    assert tab.project()["video"]["count"] == count
    tab.brush(60)
    tab.stroke((100, 100), (160, 120))
    tab.settled()
    assert read_labels(tab.run / "prompts" / "00000.png").shape == size
    tab.press("End")
    tab.settled()
    tab.press("Home")
    tab.settled()
    assert np.count_nonzero(tab.shown()) > 2000
    tab.shot(f"21-{size[1]}x{size[0]}")
    (shared_root / name).unlink()


@pytest.mark.parametrize("name, size", [("rotated.mp4", (64, 48)), ("variable.mp4", (48, 64))])
def test_rotated_videos_and_variable_rates(shared_server, shared_root, visit, name, size):
    recipe = {
        "rotated.mp4": VideoRecipe(rotation=90, count=5),
        "variable.mp4": VideoRecipe(tick=lambda i: 40 * i * i, count=5),
    }[name]
    write_numbered_video(shared_root / name, recipe)
    tab = visit(shared_server).open(name, f"runs/{name}")
    video = tab.project()["video"]
    assert (video["height"], video["width"]) == size
    tab.square((0, 0, 20, 10))
    assert np.count_nonzero(read_labels(tab.run / "prompts" / "00000.png")[:10, :20] == 1) == 200
    tab.press("End")
    tab.settled()
    if name == "variable.mp4":  # the last frame is shown 16 · 40 ms after the first
        tab.page.get_by_text("0:00.64").wait_for()
    tab.shot(f"21-{name}")


def test_a_folder_of_frames_plays(shared_server, shared_root, visit):
    folder = shared_root / "frames"
    folder.mkdir(exist_ok=True)
    for frame in (0, 1, 2, 5, 9):
        Image.fromarray(picture_of(frame)).save(folder / f"{frame:03d}.png")
    tab = visit(shared_server).open("frames", "runs/frames")
    assert tab.project()["video"]["count"] == 5
    tab.press("Space")
    tab.wait("maskcast.look.playing.value === false && maskcast.look.frame.value === 4")
