"""Every address of the server, with real worker processes and the stand-in method."""

from __future__ import annotations

import base64
import io
import json
import shutil
import zlib
from functools import partial

import numpy as np
import pytest
from PIL import Image

from cli.conftest import write_mask
from contract.coloured_video import true_mask
from fixtures.web_server import COUNT, HEIGHT, WIDTH
from maskcast.core.errors import OutputError
from maskcast.io.label_maps import read_label_map, write_label_map
from maskcast.web import prompts_folder

ONE, TWO = true_mask(1, 0).numpy(), true_mask(2, 0).numpy()


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_hello_says_what_the_server_can_do(server):
    hello = server.get("/api/hello")
    assert hello["protocol"] == 1
    assert hello["limits"]["objects"] == 254
    assert [w["name"] for w in hello["weights"] if w["default"]] == ["lwl-small"]
    assert {"labels", "cutout:exr"} <= {export["name"] for export in hello["exports"]}


def test_nothing_works_without_a_project(server):
    server.client.delete("/api/project")
    assert server.project() is None
    for method, path in [
        ("GET", "/api/tracks"),
        ("GET", "/api/flags"),
        ("GET", "/api/frames/key/0.jpg"),
        ("GET", "/api/labels/key/0.png"),
        ("GET", "/api/prompts/0.png"),
        ("PUT", "/api/prompts/0?slots=1"),
        ("POST", "/api/undo"),
        ("POST", "/api/objects"),
        ("POST", "/api/jobs"),
        ("DELETE", "/api/jobs/1"),
        ("POST", "/api/downloads"),
    ]:
        answer = server.ask(method, path)
        assert (answer.status_code, answer.json()["error"]["kind"]) == (400, "UsageError"), path


def test_a_new_project_is_empty_and_has_a_run_card(server):
    project, run = server.open()
    assert (project["objects"], project["prompts"], project["stamps"]) == ([], {}, [])
    video = project["video"]
    assert (video["width"], video["height"], video["count"]) == (WIDTH, HEIGHT, COUNT)
    assert (video["first"], video["times"]) == (0, None)
    assert json.loads((run / "run.json").read_text())["prompts"] == {}
    assert project["command"].startswith("maskcast segment ")
    assert project["next_slot"] == 1


def test_whole_states_say_which_events_they_contain(server):
    before = server.get("/api/hello")["seq"]
    project, _ = server.open()
    assert project["seq"] > before
    server.paint(0, {1: ONE})
    numbers = [server.get(path)["seq"] for path in ("/api/hello", "/api/project", "/api/tracks")]
    assert project["seq"] < numbers[0] <= numbers[1] <= numbers[2]


def test_two_runs_of_one_video_have_keys_of_their_own(server):
    folder = server.new_clip()
    first, _ = server.open(folder)
    second, _ = server.open(folder, run=f"{folder.name}/other-run")
    assert first["run"] != second["run"]
    assert first["key"] != second["key"]


def test_frames_are_jpegs_of_the_size_that_was_asked_for(server):
    project, _ = server.open()
    for number in (0, 11, 5):
        answer = server.ask("GET", f"/api/frames/{project['key']}/{number}.jpg?w=640")
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"].startswith("private")
        assert picture(answer.content).shape == (HEIGHT, WIDTH, 3)
    for path in (
        f"/api/frames/{project['key']}/12.jpg",
        "/api/frames/other/0.jpg",
        f"/api/frames/{project['key']}/0.jpg?w=333",
    ):
        assert server.ask("GET", path).status_code == 400


def test_a_stroke_is_on_the_disk_when_it_is_acknowledged(server):
    _, run = server.open()
    answer = server.paint(0, {1: ONE, 2: TWO})
    assert answer["prompts"] == {"0": [1, 2]}
    label_map = read_label_map(run / "prompts" / "00000.png")
    assert (label_map == np.where(ONE, 1, 0) + np.where(TWO, 2, 0)).all()
    shown = picture(server.ask("GET", "/api/prompts/0.png").content)
    assert (shown == label_map).all()
    assert server.ask("GET", "/api/prompts/1.png").status_code == 204
    looks = json.loads((run / "objects.json").read_text())
    assert looks["1"] == {"colour": "#56b4e9"}


def test_painting_takes_pixels_from_others_but_not_from_locked_ones(server):
    server.open()
    server.paint(0, {1: ONE})
    wide = ONE.copy()
    wide[:, :20] = True
    server.paint(0, {2: wide})
    assert server.project()["prompts"] == {"0": [2]}  # nothing was left of object 1
    server.post("/api/undo")
    server.ask("PATCH", "/api/objects/1", json={"locked": True})
    server.put(0, {2: wide})
    shown = picture(server.ask("GET", "/api/prompts/0.png").content)
    assert (shown == np.where(ONE, 1, np.where(wide, 2, 0))).all()
    assert server.put(0, {1: wide}).status_code == 400


def test_erasing_marks_an_absence_where_the_object_is_known(server):
    _, run = server.open()
    server.paint(2, {1: ONE})
    nothing = np.zeros((HEIGHT, WIDTH), bool)
    assert server.paint(5, {1: nothing})["absent"] == {"5": [1]}
    marks = json.loads((run / "prompts" / "marks.json").read_text())
    assert marks == {"absent": [[5, 1]]}
    answer = server.paint(2, {1: nothing})
    assert (answer["prompts"], answer["absent"]) == ({}, {"5": [1]})
    assert not (run / "prompts" / "00002.png").exists()


def test_a_mark_is_removed(server):
    server.open()
    server.paint(0, {1: ONE, 2: TWO})
    answer = server.ask("DELETE", "/api/prompts/0?slots=1")
    assert answer.json()["prompts"] == {"0": [2]}
    assert answer.json()["undo"] == {"did": "removed the mark of object 1", "frame": 0}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/prompts/0?slots=1", b"junk", 422),
        ("/api/prompts/0?slots=1", zlib.compress(bytes(10)), 422),
        ("/api/prompts/0?slots=1", zlib.compress(bytes(2**23)), 422),
        ("/api/prompts/0?slots=9", zlib.compress(bytes(HEIGHT * WIDTH)), 400),
        ("/api/prompts/0?slots=x", zlib.compress(bytes(HEIGHT * WIDTH)), 400),
        ("/api/prompts/0", zlib.compress(bytes(HEIGHT * WIDTH)), 400),
        ("/api/prompts/99?slots=1", zlib.compress(bytes(HEIGHT * WIDTH)), 400),
        ("/api/prompts/0?slots=1", bytes(2**23 + 1), 413),
    ],
)
def test_bad_masks_are_rejected_and_change_nothing(server, path, body, status):
    server.open()
    server.paint(0, {1: ONE})
    before = server.project()
    headers = {"if-match": str(before["revision"])}
    answer = server.ask("PUT", path, content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert server.project() == before


def test_a_stale_edit_is_rejected_with_the_new_revision(server):
    project, _ = server.open()
    server.paint(0, {1: ONE})
    answer = server.put(0, {1: TWO}, project["revision"])
    assert answer.status_code == 409
    assert answer.json()["error"]["kind"] == "stale"
    assert answer.json()["revision"] == server.project()["revision"]
    stale = {"if-match": '"1"'}
    for method, path in [
        ("POST", "/api/undo"),
        ("POST", "/api/objects"),
        ("DELETE", "/api/objects/1"),
    ]:
        assert server.ask(method, path, headers=stale).status_code == 409, path
    body = zlib.compress(bytes(HEIGHT * WIDTH))
    assert server.ask("PUT", "/api/prompts/0?slots=1", content=body).status_code == 400


def test_objects_are_added_renamed_recoloured_and_deleted(server):
    _, run = server.open()
    first = server.post("/api/objects", {"name": "runner"})
    second = server.post("/api/objects", {"colour": "#123456"})
    assert (first["slot"], second["slot"], second["next_slot"]) == (1, 2, 3)
    server.ask("PATCH", "/api/objects/2", json={"name": "left post"})
    answer = server.ask("PATCH", "/api/objects/1", json={"colour": "#abcdef"}).json()
    assert [(o["name"], o["colour"]) for o in answer["objects"]] == [
        ("runner", "#abcdef"),
        ("left post", "#123456"),
    ]
    assert json.loads((run / "objects.json").read_text())["2"]["name"] == "left post"
    answer = server.ask("DELETE", "/api/objects/1").json()
    assert [o["slot"] for o in answer["objects"]] == [2]
    assert server.post("/api/objects")["slot"] == 3  # a slot is never given twice
    for tree in ({"name": ""}, {"name": "x" * 81}, {"colour": "red"}, {"name": 3}, {"size": 1}):
        assert server.ask("PATCH", "/api/objects/2", json=tree).status_code == 400, tree
    assert server.ask("PATCH", "/api/objects/77", json={"name": "x"}).status_code == 400


def test_undo_and_redo_of_every_kind_give_equal_bytes_on_the_disk(server):
    _, run = server.open()

    def state() -> dict:
        content = {p.name: p.read_bytes() for p in sorted((run / "prompts").glob("*"))}
        fields = ("objects", "prompts", "absent", "ends")
        project = server.project()
        looks = run / "objects.json"
        named = [o["name"] for o in project["objects"]] and looks.read_bytes()
        return {"files": content, "looks": named, **{name: project[name] for name in fields}}

    edits = [
        lambda: server.post("/api/objects", {"name": "runner"}),
        lambda: server.put(0, {1: ONE}),
        lambda: server.put(4, {1: TWO}),
        lambda: server.ask("PATCH", "/api/objects/1", json={"name": "other"}),
        lambda: server.post("/api/ends", {"frame": 8, "slot": 1}),
        lambda: server.ask("DELETE", "/api/ends", json={"frame": 8, "slot": 1}),
        lambda: server.put(6, {1: np.zeros_like(ONE)}),
        lambda: server.ask("DELETE", "/api/prompts/4?slots=1"),
        lambda: server.ask("DELETE", "/api/objects/1"),
    ]
    states = [state()]
    for edit in edits:
        edit()
        states.append(state())
    for earlier in reversed(states[:-1]):
        undone = server.post("/api/undo")
        assert set(undone) >= {"did", "frame", "revision"}
        assert state() == earlier
    assert server.ask("POST", "/api/undo").status_code == 400
    for later in states[1:]:
        server.post("/api/redo")
        assert state() == later
    assert server.project()["redo"] is None


def test_a_box_becomes_a_mask(server):
    server.open()
    server.post("/api/objects")
    answer = server.ask("POST", "/api/boxes", json={"frame": 3, "slot": 1, "box": [2, 3, 8, 5]})
    assert answer.status_code == 202
    server.until(lambda e: e["type"] == "document" and e["frames"] == [3])
    shown = picture(server.ask("GET", "/api/prompts/3.png").content)
    assert (shown[3:8, 2:10] == 1).all()
    assert server.project()["undo"]["did"] == "box 2,3,8,5 on object 1"
    for box in ([2, 3, 0, 5], [99, 3, 8, 5], [1, 2, 3], ["a", 1, 1, 1]):
        answer = server.ask("POST", "/api/boxes", json={"frame": 3, "slot": 1, "box": box})
        assert 400 <= answer.status_code < 500, box


def test_masks_are_imported_as_the_command_line_reads_them(server, tmp_path):
    server.open()
    content = write_mask(tmp_path / "m.png", 0, (1, 2)).read_bytes()
    answer = server.ask(
        "POST", "/api/import?frame=4", content=content, headers={"x-name": "my%20mask.png"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["prompts"] == {"4": [1, 2]}
    assert any("2" in line for line in answer.json()["report"])
    shown = picture(server.ask("GET", "/api/prompts/4.png").content)
    assert (shown == np.where(ONE, 1, 0) + np.where(TWO, 2, 0)).all()
    for name, body in [("m.png", b"no picture"), ("../../x", content), ("a.json", b"{")]:
        answer = server.ask("POST", "/api/import?frame=4", content=body, headers={"x-name": name})
        assert 400 <= answer.status_code < 500, (name, answer.text)
    assert server.project()["prompts"] == {"4": [1, 2]}


def packed(files: list[tuple[str, bytes]]) -> bytes:
    listed = [[name, len(content)] for name, content in files]
    return json.dumps({"files": listed}).encode() + b"\n" + b"".join(c for _, c in files)


def test_a_folder_of_masks_is_imported_as_the_command_line_reads_it(server, tmp_path):
    server.open()
    names = [server.session.opened().opened.names[frame] for frame in (2, 7)]
    masks = [
        (f"{name}.png", write_mask(tmp_path / "m.png", 0, (1, 2)).read_bytes()) for name in names
    ]
    marks = json.dumps({"ends": [[9, 2]], "swaps": [[4, [1, 2]]]}).encode()
    headers = {"x-name": "my%20masks"}
    ask = partial(server.ask, "POST", "/api/import?folder=1", headers=headers)
    bad = [[("a/b/c.png", b"")], [("../c.png", b"")], [(".hidden", b"")], []]
    for body in (*map(packed, bad), packed(masks) + b"more", b"{}", b"[1]\n", b"\n"):
        answer = ask(content=body)
        assert 400 <= answer.status_code < 500, (body[:80], answer.text)
    answer = ask(content=packed([*masks, ("marks.json", marks)]))
    assert answer.status_code == 200, answer.text
    project = answer.json()
    assert (project["prompts"], project["ends"]) == ({"2": [1, 2], "7": [1, 2]}, [[9, 2]])
    assert project["renames"] == [[4, "swap", [1, 2]]]
    assert project["undo"]["did"] == "imported my_masks"
    assert not (server.session.opened().run / ".app" / "incoming").exists()


def test_folders_are_listed_below_the_root_only(server):
    folder = server.new_clip()
    listing = server.get("/api/folder?path=")
    assert (folder.name, "folder") in [(e["name"], e["kind"]) for e in listing["entries"]]
    inner = server.get(f"/api/folder?path={folder.name}")
    assert ("video", "frames") in [(e["name"], e["kind"]) for e in inner["entries"]]
    (folder / "link").symlink_to("/etc")
    names = [e["name"] for e in server.get(f"/api/folder?path={folder.name}")["entries"]]
    assert "link" not in names
    for path in ("..", "/etc", f"{folder.name}/link", "../../etc/passwd", "no\0", "x" * 5000):
        answer = server.ask("GET", "/api/folder", params={"path": path})
        assert answer.status_code in (400, 404), path


def test_recent_runs_are_listed_with_their_first_frames(server):
    _, run = server.open()
    runs = server.get("/api/recent")["runs"]
    entry = next(r for r in runs if r["path"] == f"{run.parent.name}/run")
    assert (entry["video"], entry["done"], entry["status"]) == ("video", 0, "running")
    assert (entry["total"], entry["lost"]) == (COUNT, False)
    answer = server.ask("GET", f"/api/recent/thumbnail.jpg?path={entry['path']}")
    assert picture(answer.content).shape == (HEIGHT, WIDTH, 3)


def test_recent_runs_say_that_their_video_is_gone(server):
    _, run = server.open()
    (run.parent / "video").rename(run.parent / "moved")
    entry = next(
        r for r in server.get("/api/recent")["runs"] if r["path"].startswith(run.parent.name)
    )
    assert entry["lost"]


def test_the_total_of_a_run_without_the_applications_files_is_known_once_it_is_finished(server):
    _, run = server.open()
    server.paint(0, {1: ONE})
    server.track()
    server.ask("DELETE", "/api/project")
    shutil.rmtree(run / ".app")
    entry = next(
        r for r in server.get("/api/recent")["runs"] if r["path"].startswith(run.parent.name)
    )
    assert (entry["done"], entry["total"], entry["status"]) == (COUNT, COUNT, "finished")


def test_the_exports_that_can_be_made_are_listed_with_their_options(server):
    listed = server.get("/api/exports")
    hello = server.get("/api/hello")
    assert listed == {name: hello[name] for name in ("exports", "export_options")}
    prores = next(each for each in listed["exports"] if each["name"] == "cutout:prores")
    assert {"objects", "edges", "grow", "sound"} <= set(prores["options"])
    grow = next(each for each in listed["export_options"] if each["name"] == "grow")
    assert (grow["kind"], grow["least"], grow["most"], grow["usual"]) == ("whole", -100, 100, 0)


@pytest.mark.parametrize(
    ("tree", "status"),
    [
        ({}, 400),
        ({"video": "nothing.mp4"}, 404),
        ({"video": "../outside"}, 400),
        ({"run": "no-run"}, 404),
        ({"video": 3}, 400),
        ({"vidoe": "x"}, 400),
    ],
)
def test_what_cannot_be_opened_is_an_error(server, tree, status):
    answer = server.ask("POST", "/api/project", json=tree)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


def test_a_file_that_is_no_video_is_an_error_and_leaves_no_run(server):
    (server.root / "text.mp4").write_text("no video")
    answer = server.ask("POST", "/api/project", json={"video": "text.mp4"})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (422, "VideoError")
    assert not (server.root / "maskcast-runs").exists()


def test_bad_weights_are_an_error_and_leave_no_run(server):
    folder = server.new_clip()
    tree = {"video": f"{folder.name}/video", "run": f"{folder.name}/run", "weights": "none-such"}
    answer = server.ask("POST", "/api/project", json=tree)
    assert answer.status_code in (404, 422), answer.text
    assert not (folder / "run").exists()


def test_a_folder_of_something_else_is_a_conflict_with_a_suggestion(server):
    folder = server.new_clip()
    (folder / "run").mkdir()
    (folder / "run" / "thesis.txt").write_text("mine")
    weights = f"{folder}/colours.safetensors"
    tree = {"video": f"{folder.name}/video", "run": f"{folder.name}/run", "weights": weights}
    answer = server.ask("POST", "/api/project", json=tree)
    assert answer.status_code == 409, answer.text
    assert answer.json()["suggestion"] == "maskcast-runs/video"
    assert [p.name for p in (folder / "run").iterdir()] == ["thesis.txt"]


def test_tracks_are_arrays_by_slot(server):
    _, run = server.open()
    server.paint(0, {1: ONE})
    server.track(until=3)
    track = server.get("/api/tracks")["slots"]["1"]
    areas = np.frombuffer(base64.b64decode(track["area"]), "<i4")
    confidences = np.frombuffer(base64.b64decode(track["confidence"]), "<f4")
    assert areas[0] == ONE.sum()
    assert areas[4:].tolist() == [-1] * 8
    assert np.isfinite(confidences[:4]).all()
    assert np.isnan(confidences[4:]).all()
    assert read_label_map(run / "00003.png").astype(bool).sum() == areas[3]


def test_labels_are_named_by_their_version(server):
    project, run = server.open()
    server.paint(0, {1: ONE})
    server.track(until=3)
    ((first, last, stamp),) = server.project()["stamps"]
    assert (first, last) == (0, 3)
    base = f"/api/labels/{project['key']}"
    answer = server.ask("GET", f"{base}/2.png?s={stamp}")
    assert (picture(answer.content) == read_label_map(run / "00002.png")).all()
    half = server.ask("GET", f"{base}/2.png?s={stamp}&half=1")
    assert (picture(half.content) == read_label_map(run / "00002.png")[::2, ::2]).all()
    assert server.ask("GET", f"{base}/4.png?s={stamp}").status_code == 204
    assert server.ask("GET", f"{base}/2.png?s=other").status_code == 409
    (run / "00002.png").unlink()  # as while a worker sets it aside
    for size in ("", "&half=1"):
        assert server.ask("GET", f"{base}/2.png?s={stamp}{size}").status_code == 409


def test_ids_that_do_not_fit_into_a_byte_have_slots(server, tmp_path):
    server.open()
    label_map = np.where(ONE, 70000, 0).astype(np.int32)
    write_label_map(tmp_path / "big.png", label_map)
    content = (tmp_path / "big.png").read_bytes()
    answer = server.ask("POST", "/api/import?frame=0", content=content)
    assert [(o["id"], o["slot"]) for o in answer.json()["objects"]] == [(70000, 1)]
    server.track(until=2)
    project = server.project()
    stamp = project["stamps"][0][2]
    shown = server.ask("GET", f"/api/labels/{project['key']}/0.png?s={stamp}")
    assert (picture(shown.content) == ONE).all()


def test_flags_are_listed_and_checked(server):
    _, run = server.open()
    server.paint(0, {1: ONE})
    server.track()
    log = [json.loads(line) for line in (run / "frames.jsonl").read_text().split("\n") if line]
    for entry in log:
        if entry["frame"] == 9:
            entry["objects"]["1"] = [0, None, 0.0]
        if entry["frame"] == 2:
            entry["objects"]["1"] = [3 * int(ONE.sum()), 0.9, 0.9]
    (run / "frames.jsonl").write_text("\n".join(map(json.dumps, log)))
    flags = server.get("/api/flags")["flags"]
    texts = {f["frame"]: f["text"] for f in flags if f["kind"] == "jump"}
    assert texts[2] == "area ×3.0"  # as logged, whatever was loaded before
    lost = next(f for f in flags if f["kind"] == "lost")
    assert (lost["frame"], lost["slot"], lost["seen"]) == (9, 1, False)
    tree = {"frame": 9, "slot": 1, "kind": "lost", "seen": True}
    answer = server.post("/api/flags/seen", tree)
    assert answer["seen"] == [[9, 1, "lost"]]
    assert answer["undo"]["did"] != "amended"
    assert next(f for f in server.get("/api/flags")["flags"] if f["kind"] == "lost")["seen"]


def test_unknown_addresses_and_methods(server):
    answer = server.ask("GET", "/api/nothing")
    assert (answer.status_code, answer.json()["error"]["kind"]) == (404, "http")
    assert server.ask("POST", "/api/hello").status_code == 405
    assert server.ask("GET", "/api/frames/key/-1.jpg").status_code == 404
    assert server.ask("GET", "/api/frames/key/x.jpg").status_code == 404


def test_the_playhead_is_noted(server):
    server.open()
    assert server.ask("POST", "/api/look", json={"frame": 5, "step": -1}).status_code == 204
    assert server.ask("POST", "/api/look", json={"frame": -5, "step": 1}).status_code == 400


def test_a_full_disk_is_said_and_changes_nothing(server, monkeypatch):
    server.open()
    server.paint(0, {1: ONE})
    before = server.project()

    def full(path, *_, **__):
        raise OutputError(f"cannot write {path}: the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(prompts_folder, "write_bytes", full)
        answer = server.put(0, {1: TWO})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (507, "OutputError")
    assert server.project() == before
    assert server.put(0, {1: TWO}, before["revision"]).status_code == 200


def test_a_frame_that_cannot_be_read_is_a_sentence_and_can_be_held(server):
    folder = server.new_clip()
    (folder / "video" / "00003.png").write_bytes(b"damaged")
    project, run = server.open(folder)
    answer = server.ask("GET", f"/api/frames/{project['key']}/3.jpg")
    assert (answer.status_code, answer.json()["error"]["kind"]) == (422, "FrameError")
    server.paint(0, {1: ONE})
    job = server.track()
    assert (job["state"], job["error"]["kind"]) == ("failed", "FrameError")
    tree = {"run": f"{folder.name}/run", "on_bad_frame": "hold"}
    project = server.post("/api/project", tree)
    assert server.ask("GET", f"/api/frames/{project['key']}/3.jpg").status_code == 200
    assert server.track()["state"] == "done"
    assert json.loads((run / "run.json").read_text())["settings"]["on_bad_frame"] == "hold"
    assert "--on-bad-frame hold" in server.project()["command"]
