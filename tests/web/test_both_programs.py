"""One run folder, worked on by the application and by the command line in turn."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest

from cli.conftest import FRAMES, maskcast, write_mask  # noqa: F401 - a fixture
from contract.coloured_video import true_mask
from maskcast.io.label_maps import read_label_map
from maskcast.runs.card import read_card
from maskcast.web.document import Document
from maskcast.web.renames import Renamed, list_changes

ONE, TWO = true_mask(1, 0).numpy(), true_mask(2, 0).numpy()
CORRECTION = true_mask(1, 7).numpy()
"""On frame 8, where the object is one pixel further."""
SWAP = ("--swap", "4:1,2")


def files(run) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(run.glob("*.png"))}


def command_of(server, folder) -> list[str]:
    """Begin a run with two objects on the command line; return the words of the command."""
    write_mask(folder / "first.png", 0, (1, 2))
    weights = f"{folder}/colours.safetensors"
    words = ["segment", folder / "video", "--masks", folder / "first.png", "--weights", weights]
    return [str(word) for word in [*words, "-o", folder / "run"]]


def open_run(server, folder):
    tree = {"run": f"{folder.name}/run", "weights": f"{folder}/colours.safetensors"}
    return server.post("/api/project", tree)


def copied(server) -> list[str]:
    return shlex.split(server.project()["command"])[1:]


@pytest.mark.parametrize(
    ("options", "listed", "in_file"),
    [
        (SWAP, [[4, "swap", [1, 2]]], {"swaps": [[4, [1, 2]]]}),
        (("--merge", "4:1,2"), [[4, "merge", [1, 2]]], {"merges": [[4, [1, 2]]]}),
    ],
)
def test_swaps_and_merges_stay_when_a_frame_is_corrected(
    server,
    maskcast,  # noqa: F811
    options,
    listed,
    in_file,
):
    folder = server.new_clip()
    run, command = folder / "run", command_of(server, folder)
    assert maskcast(*command, *options).exit_code == 0
    before = files(run)
    project = open_run(server, folder)
    assert (project["renames"], project["outdated_from"]) == (listed, None)
    corrected = 2 if options == SWAP else 1  # the id that the first object has on frame 8
    server.paint(8, {corrected: CORRECTION})
    assert server.track()["state"] == "done"
    assert json.loads((run / "prompts" / "marks.json").read_text()) == in_file
    by_app, again = files(run), copied(server)
    assert all(by_app[f"{f:05d}.png"] == before[f"{f:05d}.png"] for f in range(8))
    assert ((read_label_map(run / "00008.png") == corrected) == CORRECTION).all()
    server.client.delete("/api/project")

    steps = read_card(run).steps
    assert maskcast(*again).exit_code == 0
    assert files(run) == by_app
    assert read_card(run).steps == steps  # the command line had nothing to compute
    alone = [*again[: again.index("-o")], "-o", f"{folder}/alone"]
    assert maskcast(*alone).exit_code == 0
    assert files(folder / "alone") == by_app


def test_marks_that_the_command_line_adds_to_a_project_are_taken_over(server, maskcast):  # noqa: F811
    folder = server.new_clip()
    _, run = server.open(folder)
    server.paint(0, {1: ONE, 2: TWO})
    server.track()
    by_app, command = files(run), copied(server)
    server.client.delete("/api/project")
    write_mask(folder / "00008.png", 7, (1,))
    added = ("--masks", str(folder / "00008.png"), *SWAP)
    assert maskcast(*command, *added).exit_code == 0
    by_command = files(run)

    project = open_run(server, folder)
    assert project["outdated_from"] is None
    assert (project["prompts"], project["lost"]) == ({"0": [1, 2], "8": [1]}, {})
    assert project["renames"] == [[4, "swap", [1, 2]]]
    assert project["undo"]["did"] == "marks of the command line"
    again = copied(server)
    server.client.delete("/api/project")
    assert maskcast(*again).exit_code == 0
    assert files(run) == by_command

    open_run(server, folder)
    server.post("/api/undo")
    project = server.project()
    assert (project["prompts"], project["renames"]) == ({"0": [1, 2]}, [])
    assert server.track()["state"] == "done"
    assert files(run) == by_app
    number = server.number
    server.post("/api/redo")
    server.until(lambda e: e["type"] == "outdated" and e["from"] is None, after=number)
    assert files(run) == by_command


def test_marks_are_taken_over_while_the_project_is_open(server, maskcast):  # noqa: F811
    folder = server.new_clip()
    _, run = server.open(folder)
    server.paint(0, {1: ONE, 2: TWO})
    server.track()
    number = server.number
    assert maskcast(*copied(server), *SWAP).exit_code == 0
    server.until(lambda e: e["type"] == "document", after=number)
    project = server.project()
    assert project["renames"] == [[4, "swap", [1, 2]]]
    assert project["outdated_from"] is None
    by_command = files(run)
    assert server.track()["state"] == "done"
    assert files(run) == by_command


def test_marks_that_were_undone_are_not_taken_for_those_of_the_command_line(server):
    folder = server.new_clip()
    server.open(folder)
    server.paint(0, {1: ONE})
    server.paint(8, {1: CORRECTION})
    server.track()
    server.post("/api/undo")
    server.paint(9, {1: CORRECTION})  # the document that was tracked is in no history now
    server.client.delete("/api/project")
    assert open_run(server, folder)["prompts"] == {"0": [1], "9": [1]}


def test_a_mark_that_does_not_fit_a_merge_is_rejected(server, maskcast):  # noqa: F811
    folder = server.new_clip()
    assert maskcast(*command_of(server, folder), "--merge", "4:1,2").exit_code == 0
    open_run(server, folder)
    answer = server.put(8, {2: TWO})
    assert answer.status_code == 400
    assert "it is part of object 1 from frame 4 on" in answer.json()["error"]["message"]
    answer = server.put(4, {2: TWO})
    assert "on which it is swapped or merged" in answer.json()["error"]["message"]
    for slot in (1, 2):
        answer = server.ask("POST", "/api/ends", json={"frame": 4, "slot": slot})
        assert answer.status_code == 400
        said = f"object {slot} cannot end on frame 4, on which it is swapped or merged"
        assert said in answer.json()["error"]["message"]
    answer = server.ask("POST", "/api/ends", json={"frame": 3, "slot": 2})
    assert answer.status_code == 400
    assert "objects 1 and 2 are swapped or merged on frame 4" in answer.json()["error"]["message"]
    assert server.put(8, {1: ONE}).status_code == 200


def test_a_merge_without_its_object_is_left_out():
    renames = frozenset({Renamed(4, 2, 1)})
    prompts = {0: {1: "absent", 2: "mask " + "a" * 32}}
    document = Document(prompts=prompts, renames=renames)
    assert "4:2" not in document.marks(goes_backward=False)
    with_both = document.with_prompts(0, {1: "mask " + "b" * 32})
    assert with_both.marks(goes_backward=False)["4:2"] == "as 1"
    assert with_both.without_object(1).renames == frozenset()


def test_swaps_and_merges_of_a_frame_are_told_apart():
    renamed = [Renamed(4, 1, 2), Renamed(4, 2, 1), Renamed(4, 5, 3), Renamed(4, 6, 3)]
    assert list_changes(renamed) == [(4, False, (3, 5, 6)), (4, True, (1, 2))]


def test_boxes_alone_are_copied_with_their_other_marks(server, maskcast):  # noqa: F811
    folder = server.new_clip()
    command = command_of(server, folder)
    at = command.index("--masks")
    command[at : at + 2] = ["--box", "0:1:2,3,8,5", "--box", "0:2:20,10,8,5"]
    marks = ("--absent", "6:1", "--end-object", "10:2", *SWAP)
    assert maskcast(*command, *marks).exit_code == 0
    run, before = folder / "run", files(folder / "run")
    assert len(before) == FRAMES
    open_run(server, folder)
    again = copied(server)
    assert [*marks[:4]] == again[again.index("--absent") : again.index("--absent") + 4]
    server.client.delete("/api/project")
    steps = read_card(run).steps
    assert maskcast(*again).exit_code == 0
    assert (files(run), read_card(run).steps) == (before, steps)
    assert np.unique(read_label_map(run / "00003.png")).tolist() == [0, 1, 2]
