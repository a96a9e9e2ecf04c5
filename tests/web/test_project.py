"""A project without a server: hostile run folders, marks on the disk, objects beyond the slots."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli.conftest import make_clip, write_mask
from contract.coloured_video import true_mask
from maskcast.core.errors import DataError, MaskcastError, UsageError
from maskcast.io.label_maps import read_label_map, write_label_map
from maskcast.io.prompts.reading import read_prompts
from maskcast.runs.card import RunCard, write_card
from maskcast.runs.fingerprint import prompt_fingerprints
from maskcast.runs.request import RunRequest
from maskcast.web.messages import Opened, SegmenterChoice, VideoRange
from maskcast.web.project import Project, lock_run

NAMES = tuple(f"{i:05d}" for i in range(12))
ONE, TWO = true_mask(1, 0).numpy(), true_mask(2, 0).numpy()


@pytest.fixture
def run(tmp_path) -> Path:
    make_clip(tmp_path)
    begin(tmp_path / "run")
    return tmp_path / "run"


def begin(run: Path, prompts: dict[str, str] | None = None, **changes) -> None:
    """Write a run card."""
    run.mkdir(exist_ok=True)
    entries = {"method": "colours", "weights": "none", "weights_sha256": "0" * 64}
    entries |= {"input": "video", "input_sha256": "1" * 64, "prompts": prompts or {}}
    request = RunRequest(**(entries | changes))
    write_card(run, RunCard(maskcast="0", torch="0", request=request))


def open_in(run: Path, *, first: int = 0) -> Project:
    opened = Opened(
        names=NAMES, height=24, width=32, first=first, rate=None, times=None, sha256="1" * 64
    )
    video = VideoRange(path=str(run.parent / "video"))
    return Project(run, video, opened, SegmenterChoice(), "key")


def test_what_was_marked_is_read_by_the_command_line_with_equal_fingerprints(run):
    project = open_in(run)
    document = project.document.with_object(project.new_object(None, None))
    document = document.with_object(project.new_object(None, None))
    document = project.with_masks(document, 2, {1: ONE, 2: TWO})
    document = document.with_prompts(6, {1: "absent"}).with_end(9, 2)
    project.do("all", None, document)
    given = read_prompts([run / "prompts"], names=list(NAMES), size=(24, 32))
    assert prompt_fingerprints(given.by_frame, given.ends) == document.marks(goes_backward=False)


def test_frames_of_a_part_of_a_video_are_counted_from_its_first(run):
    project = open_in(run, first=100)
    document = project.document.with_object(project.new_object(None, None))
    document = project.with_masks(document, 2, {1: ONE})
    project.do("all", None, document.with_prompts(6, {1: "absent"}))
    assert json.loads((run / "prompts" / "marks.json").read_text()) == {"absent": [[106, 1]]}
    assert open_in(run, first=100).document == project.document


def test_the_prompts_follow_the_document_after_a_kill_in_between(run):
    project = open_in(run)
    document = project.document.with_object(project.new_object(None, None))
    project.do("a", 0, project.with_masks(document, 0, {1: ONE}))
    write_mask(run / "prompts" / "00000.png", 5, (1,))
    write_mask(run / "prompts" / "00007.png", 5, (1,))
    open_in(run)
    assert (read_label_map(run / "prompts" / "00000.png") == ONE).all()
    assert not (run / "prompts" / "00007.png").exists()


def test_masks_are_swept_when_no_document_has_them(run):
    project = open_in(run)
    project.masks.put(TWO)
    document = project.document.with_object(project.new_object(None, None))
    project.do("a", 0, project.with_masks(document, 0, {1: ONE}))
    open_in(run)
    assert len(list((run / ".app" / "masks").iterdir())) == 1


def test_a_damaged_mask_is_lost_and_not_shown_as_another(run):
    project = open_in(run)
    document = project.document.with_object(project.new_object(None, None))
    project.do("a", 0, project.with_masks(document, 0, {1: ONE}))
    (path,) = (run / ".app" / "masks").iterdir()
    value = project.document.prompts[0][1]
    path.write_bytes(path.read_bytes()[:40])
    assert open_in(run).masks.get(value) is None


@pytest.mark.parametrize("name", ["prompts", ".app", ".states", "exports"])
def test_a_folder_that_is_a_link_is_rejected(run, tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (run / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="not a link"):
        lock_run(run)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("objects.json", "[1, 2]"),
        ("objects.json", '{"1": {"name": "' + "x" * 99 + '"}}'),
        ("objects.json", '{"../x": {}}'),
        ("prompts/marks.json", "{"),
        ("prompts/marks.json", '{"absent": [[0]]}'),
        ("prompts/00000.png", "no picture"),
        ("run.json", "{}"),
    ],
)
def test_damaged_files_are_errors_of_ours(run, name, content):
    path = run / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    with pytest.raises(MaskcastError):
        open_in(run)


def test_hostile_logs_and_marks_are_read_within_bounds(run):
    (run / "prompts").mkdir()
    marks = '{"absent": [[999999999, 1], ["../../x", 2]]}'
    (run / "prompts" / "marks.json").write_text(marks)
    lines = [
        '{"frame": 5, "mask": "../../../etc/passwd", "objects": {"1": [5, 0.5]}}',
        '{"frame": 99999999999, "mask": "x.png", "objects": {}}',
        '{"frame": -1, "mask": "x.png", "objects": {}}',
        '{"frame": 1, "mask": "00001.png", "objects": {"7": [1e999, "a"]}}',
    ]
    (run / "frames.jsonl").write_text("\n".join(lines))
    project = open_in(run)
    assert project.results.stamps() == []
    assert project.document.prompts == {}


def test_a_label_map_of_another_size_is_no_prompt(run):
    begin(run, {"0:1": "mask " + "a" * 32})
    write_label_map(run / "00000.png", np.ones((3, 3), np.int32))
    entry = {"frame": 0, "mask": "00000.png", "objects": {"1": [9, 0.5]}, "digest": "d"}
    (run / "frames.jsonl").write_text(json.dumps(entry))
    project = open_in(run)
    assert project.document.prompts == {0: {1: "mask " + "a" * 32}}
    assert project.masks.get("mask " + "a" * 32) is None


def test_boxes_of_the_card_stay_boxes_and_are_in_the_command(run):
    begin(run, {"0:1": "box 2.0,3.0,8.0,5.0"})
    project = open_in(run)
    assert project.document.prompts == {0: {1: "box 2.0,3.0,8.0,5.0"}}
    assert "--box 0:1:2.0,3.0,8.0,5.0" in project.command()
    assert "--masks" not in project.command()


def test_slots_are_given_once_and_run_out(run):
    project = open_in(run)
    slots = [project.new_object(None, None).slot for _ in range(254)]
    assert slots == list(range(1, 255))
    assert project.next_slot is None
    with pytest.raises(UsageError, match="254"):
        project.new_object(None, None)


def test_ids_of_results_keep_their_slots_when_their_objects_were_deleted(run):
    project = open_in(run)
    first = project.new_object(None, None)
    project.do("a", None, project.document.with_object(first))
    project.do("b", None, project.document.without_object(1))
    again = open_in(run)
    assert again.slots == {1: 1}
    assert again.new_object(None, None).slot == 2


def test_a_run_with_more_objects_than_slots_is_an_error(run):
    begin(run, {f"0:{i}": "mask " + "a" * 32 for i in range(1, 257)})
    with pytest.raises(UsageError, match="254"):
        open_in(run)
