"""Tracking, exports, corrections: what is made, what stays, and what comes back."""

from __future__ import annotations

import io
import json
import shutil
import zipfile

import numpy as np
import pytest

from cli.conftest import FRAMES, maskcast, write_mask  # noqa: F401 - a fixture
from contract.coloured_video import true_mask
from maskcast.io.label_maps import read_label_map
from maskcast.io.video.source import open_frames

ONE, TWO = true_mask(1, 0).numpy(), true_mask(2, 0).numpy()
CORRECTION = true_mask(1, 7).numpy()
"""On frame 8, where the object is one pixel further."""


def files(run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.glob("*.png"))}


def stamps(server) -> list[str | None]:
    by_frame: list[str | None] = [None] * FRAMES
    for first, last, stamp in server.project()["stamps"]:
        by_frame[first : last + 1] = [stamp] * (last + 1 - first)
    return by_frame


def test_masks_are_reported_as_they_are_made(server):
    server.open()
    server.paint(0, {1: ONE, 2: TWO})
    job = server.track()
    assert (job["state"], job["done"], job["total"], job["error"]) == ("done", 12, 12, None)
    labels = [e for e in server.events() if e["type"] == "labels"]
    covered = {f for e in labels for f in range(e["from"], e["to"] + 1) if e["stamp"]}
    assert covered >= set(range(12))
    assert server.project()["outdated_from"] is None


def test_a_correction_leaves_the_frames_before_it_and_undo_brings_all_back(server):
    _, run = server.open()
    server.paint(0, {1: ONE})
    server.track()
    before, first_stamps = files(run), stamps(server)

    server.paint(8, {1: CORRECTION})
    project = server.project()
    assert project["outdated_from"] == 8
    assert stamps(server) == first_stamps  # outdated masks stay visible
    server.track()
    after = files(run)
    assert all(after[f"{f:05d}.png"] == before[f"{f:05d}.png"] for f in range(8))
    assert after["00008.png"] != before["00008.png"]
    assert (read_label_map(run / "00008.png") == CORRECTION).all()
    assert stamps(server)[:8] == first_stamps[:8]
    assert stamps(server)[8] != first_stamps[8]

    steps = json.loads((run / "run.json").read_text())["steps"]
    number = server.number
    server.post("/api/undo")
    server.until(lambda e: e["type"] == "flags", after=number)
    assert files(run) == before
    assert stamps(server) == first_stamps
    assert json.loads((run / "run.json").read_text())["steps"] == steps

    number = server.number
    server.post("/api/redo")
    server.until(lambda e: e["type"] == "flags", after=number)
    assert files(run) == after
    assert json.loads((run / "run.json").read_text())["steps"] == steps


def test_masks_that_were_set_aside_are_shown_until_they_are_made_again(server):
    project, run = server.open()
    server.paint(0, {1: ONE})
    server.track()
    shown = stamps(server)[11]
    server.paint(4, {1: true_mask(1, 3).numpy()})
    server.track(until=5)
    assert not (run / "00011.png").exists()
    assert stamps(server)[11] == shown
    answer = server.ask("GET", f"/api/labels/{project['key']}/11.png?s={shown}")
    assert answer.status_code == 200


def test_a_track_ends_at_the_frame_that_was_asked_for_and_continues(server):
    _, run = server.open()
    server.paint(0, {1: ONE})
    job = server.track(until=4)
    assert (job["state"], len(files(run))) == ("done", 5)
    card = json.loads((run / "run.json").read_text())
    assert (card["status"], card["frames"]) == ("interrupted", 5)
    server.track()
    assert json.loads((run / "run.json").read_text())["steps"] == FRAMES


def test_backward_fills_the_frames_before_the_first_mark(server):
    _, run = server.open()
    server.paint(5, {1: true_mask(1, 5).numpy()})
    job = server.track("backward")
    assert job["state"] == "done", job
    assert len(files(run)) == 6
    assert read_label_map(run / "00000.png").any()
    job = server.track("both")
    assert job["state"] == "done"
    assert len(files(run)) == FRAMES
    card = json.loads((run / "run.json").read_text())
    assert (card["direction"] if "direction" in card else card["settings"]["direction"]) == "both"
    assert card["status"] == "finished"


def test_an_object_ends_and_begins_again(server):
    _, run = server.open()
    server.paint(0, {1: ONE, 2: TWO})
    server.post("/api/ends", {"frame": 4, "slot": 1})
    server.put(9, {1: true_mask(1, 9).numpy()})
    server.track()
    areas = [int((read_label_map(run / f"{f:05d}.png") == 1).sum()) for f in range(FRAMES)]
    assert min(areas[:4]) > 0
    assert areas[4:9] == [0] * 5
    assert min(areas[9:]) > 0


def test_an_edit_while_tracking_is_taken_up(server):
    _, run = server.open()
    server.paint(0, {1: ONE})
    server.track(until=0)
    server.slow_down(0.3)
    job = server.post("/api/jobs", {"what": "track", "direction": "forward"})["id"]
    server.until(lambda e: e["type"] == "job" and e["id"] == job and e["done"] >= 2)
    server.paint(8, {1: CORRECTION})
    server.slow_down(0)
    ended = server.wait(job)
    assert (ended["state"], ended["restarted"]) == ("done", 1), ended
    assert (read_label_map(run / "00008.png") == CORRECTION).all()
    assert server.project()["outdated_from"] is None


def test_masks_are_not_outdated_any_more_once_a_job_has_taken_up_the_marks(server):
    server.open()
    server.paint(0, {1: ONE})
    server.track()
    server.paint(8, {1: CORRECTION})
    number = server.number
    server.track()
    events = [event for event in server.events() if event["seq"] > number]
    outdated = [(i, e["from"]) for i, e in enumerate(events) if e["type"] == "outdated"]
    made = [i for i, e in enumerate(events) if e["type"] == "labels" and e["stamp"]]
    assert outdated[0][1] is None
    assert outdated[0][0] < made[-1]


def test_a_job_is_stopped_after_its_frame_and_continues_from_there(server):
    _, run = server.open()
    server.paint(0, {1: ONE})
    server.track(until=0)
    server.slow_down(0.3)
    job = server.post("/api/jobs", {"what": "track", "direction": "forward"})["id"]
    second = server.post("/api/jobs", {"what": "track", "direction": "forward"})
    assert second["state"] == "queued"
    server.client.delete(f"/api/jobs/{second['id']}")
    server.until(lambda e: e["type"] == "job" and e["id"] == job and e["done"] >= 2)
    # a box is made between two frames of the job
    server.post("/api/objects")
    server.post("/api/boxes", {"frame": 11, "slot": 2, "box": [2, 3, 8, 5]})
    server.client.delete(f"/api/jobs/{job}")
    server.slow_down(0)
    assert server.wait(job)["state"] == "stopped"
    card = json.loads((run / "run.json").read_text())
    assert card["status"] == "interrupted"
    assert 2 <= card["frames"] < FRAMES
    assert server.track()["state"] == "done"
    assert json.loads((run / "run.json").read_text())["steps"] <= FRAMES + 1
    assert server.ask("DELETE", "/api/jobs/999").status_code == 400


def test_nothing_is_tracked_without_a_mark(server):
    server.open()
    answer = server.ask("POST", "/api/jobs", json={"what": "track", "direction": "forward"})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (400, "UsageError")
    for tree in (
        {"what": "dance"},
        {"what": "track", "direction": "up"},
        {"what": "track", "direction": "forward", "until": 12},
        {"what": "export", "exports": []},
        {"what": "export", "exports": ["gif"]},
        {"what": "export", "exports": ["rle"], "span": [3, 1]},
    ):
        assert server.ask("POST", "/api/jobs", json=tree).status_code == 400, tree


def test_everything_is_exported_and_downloaded_once(server):
    _, run = server.open()
    server.paint(0, {1: ONE})
    server.track()
    names = [export["name"] for export in server.get("/api/hello")["exports"]]
    job = server.post("/api/jobs", {"what": "export", "exports": names, "span": [2, 5]})
    job = server.wait(job["id"])
    assert job["state"] == "done", job
    listed = {file["name"] for file in job["files"]}
    assert len(listed) == len(names)
    for name in listed:
        address = server.post("/api/downloads", {"file": name})["path"]
        plain = {"authorization": ""}
        answer = server.ask("GET", address, headers=plain)
        assert answer.status_code == 200, name
        assert server.ask("GET", address, headers=plain).status_code == 404  # one use
        check_export(name, answer.content, run)


def check_export(name: str, content: bytes, run) -> None:
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            names = archive.namelist()
            if name in ("labels.zip", "cutout.zip", "matte.zip", "matte-16bit.zip"):
                assert names == [f"{f:05d}.png" for f in range(2, 6)]
            assert len(names) >= 4
            if name == "labels.zip":
                assert archive.read("00003.png") == (run / "00003.png").read_bytes()
    elif name.endswith((".mp4", ".mov", ".webm", ".mkv")):
        assert open_frames(run / "exports" / name).count == 4
    elif name == "masks.json":
        assert [entry["frame"] for entry in json.loads(content)] == [2, 3, 4, 5]
    else:
        assert content


def test_exports_follow_the_options(server):
    server.open()
    server.paint(0, {1: ONE, 2: TWO})
    server.track()
    options = {"objects": "all", "edges": "refined", "grow": 1, "rate": 12, "outlines": True}
    names = ["cutout:prores", "matte:png", "tracks"]
    tree = {"what": "export", "exports": names, "options": options, "span": [0, 1]}
    job = server.wait(server.post("/api/jobs", tree)["id"])
    assert job["state"] == "done", job
    assert [file["name"] for file in job["files"]] == [
        *[f"cutout-{i}-refined-grow1-12fps.mov" for i in (1, 2)],
        *[f"matte-{i}-refined-grow1.zip" for i in (1, 2)],
        "tracks.csv",
    ]
    together = {"what": "export", "exports": ["matte:png"], "span": [0, 1]}
    chosen = {**together, "options": {"objects": "1,2", "merged": True}}
    job = server.wait(server.post("/api/jobs", chosen)["id"])
    assert [file["name"] for file in job["files"]] == ["matte-1+2.zip"]


@pytest.mark.parametrize(
    "options",
    [
        {"grow": 101},
        {"grow": "1"},
        {"grow": True},
        {"edges": "blurry"},
        {"objects": "1;2"},
        {"sharpen": 3},
        [1],
    ],
)
def test_impossible_options_of_exports_are_errors(server, options):
    tree = {"what": "export", "exports": ["cutout:png"], "options": options}
    if server.project() is None:
        server.open()
    answer = server.ask("POST", "/api/jobs", json=tree)
    assert (answer.status_code, answer.json()["error"]["kind"]) in (
        (400, "UsageError"),
        (400, "ConfigError"),
    )


def test_exports_outside_the_folder_cannot_be_downloaded(server):
    _, run = server.open()
    (run / "exports").mkdir()
    (run / "exports" / "tracks.csv").symlink_to("/etc/passwd")
    for name in ("tracks.csv", "../run.json", "/etc/passwd", "labels.zip", "overlay.mp4"):
        answer = server.ask("POST", "/api/downloads", json={"file": name})
        assert answer.status_code in (400, 404), name
    assert server.ask("GET", "/download/guess/tracks.csv").status_code == 404


def test_the_command_line_goes_on_with_the_folder_and_gets_equal_bytes(server, maskcast):  # noqa: F811
    _, run = server.open()
    server.paint(0, {1: ONE, 2: TWO})
    server.paint(8, {1: CORRECTION})
    server.post("/api/ends", {"frame": 10, "slot": 2})
    server.track(until=4)
    command = server.project()["command"].split()
    server.client.delete("/api/project")
    outcome = maskcast(*command[1:])
    assert outcome.exit_code == 0, outcome.error
    by_command = files(run)
    assert json.loads((run / "run.json").read_text())["steps"] == FRAMES
    _, other = server.open()
    server.paint(0, {1: ONE, 2: TWO})
    server.paint(8, {1: CORRECTION})
    server.post("/api/ends", {"frame": 10, "slot": 2})
    server.track()
    assert files(other) == by_command


def test_the_application_goes_on_with_a_run_of_the_command_line(server, maskcast):  # noqa: F811
    folder = server.new_clip()
    masks = folder / "masks"
    masks.mkdir()
    write_mask(masks / "00000.png", 0, (1, 2))
    (masks / "marks.json").write_text(json.dumps({"absent": [[6, 2]]}))
    weights = f"{folder}/colours.safetensors"
    common = ("segment", folder / "video", "--masks", masks, "--weights", weights)
    assert maskcast(*common, "-o", folder / "run").exit_code == 0
    before = files(folder / "run")
    tree = {"run": f"{folder.name}/run", "weights": weights}
    server.post("/api/project", tree)
    project = server.post("/api/project", {"run": f"{folder.name}/run"})  # the file is remembered
    assert (project["prompts"], project["absent"]) == ({"0": [1, 2]}, {"6": [2]})
    assert (project["lost"], project["outdated_from"]) == ({}, None)
    assert (read_label_map(folder / "run" / "prompts" / "00000.png") > 0).sum() == ONE.sum() * 2
    server.paint(8, {1: CORRECTION})
    assert server.track()["state"] == "done"
    after = files(folder / "run")
    assert all(after[f"{f:05d}.png"] == before[f"{f:05d}.png"] for f in range(8))
    assert json.loads((folder / "run" / "run.json").read_text())["steps"] < 2 * FRAMES


def test_a_prompt_whose_mask_is_gone_is_shown_as_lost(server, maskcast):  # noqa: F811
    folder = server.new_clip()
    weights = f"{folder}/colours.safetensors"
    common = ("segment", folder / "video", "--masks", folder / "first.png", "--weights", weights)
    assert maskcast(*common, "-o", folder / "run", "--keep-every", "2").exit_code == 0
    path = folder / "run" / "00000.png"
    path.write_bytes((folder / "run" / "00001.png").read_bytes())
    tree = {"run": f"{folder.name}/run", "weights": weights}
    project = server.post("/api/project", tree)
    assert project["lost"] == {"0": [1, 2]}
    server.paint(9, {1: CORRECTION})
    assert server.track()["state"] == "done"  # the state after frame 8 is there
    server.paint(1, {1: ONE})
    job = server.track()
    assert job["state"] == "done", job  # and so is the one after frame 0
    shutil.rmtree(folder / "run" / ".states")
    server.paint(1, {1: true_mask(1, 1).numpy()})
    job = server.track()
    assert job["state"] == "failed"
    assert "mark the object there again" in job["error"]["message"]


@pytest.mark.parametrize("gone", [".app", "prompts"])
def test_a_document_is_made_again_from_what_is_there(server, gone):
    folder = server.new_clip()
    _, run = server.open(folder)
    server.paint(0, {1: ONE, 2: TWO})
    server.paint(5, {2: np.zeros_like(ONE)})
    server.ask("PATCH", "/api/objects/1", json={"name": "runner"})
    server.track(until=6)
    before = server.project()
    server.client.delete("/api/project")
    shutil.rmtree(run / gone)
    project, _ = server.open(folder)
    for name in ("objects", "prompts", "absent", "ends", "lost", "stamps", "outdated_from"):
        assert project[name] == before[name], name
    assert (run / "prompts" / "00000.png").is_file()
