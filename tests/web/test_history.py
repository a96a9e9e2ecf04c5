"""Undo after an edit is nothing; what was acknowledged is there after any restart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcast.core.errors import OutputError
from maskcast.web import history
from maskcast.web.document import Document
from maskcast.web.history import EditHistory

VALUES = [f"mask {digit * 32}" for digit in "123"]
EDITS = st.tuples(st.integers(0, 3), st.integers(1, 2), st.sampled_from([*VALUES, "absent", None]))
MOVES = st.sampled_from(["undo", "redo"])


def edited(document: Document, edit) -> Document:
    frame, object_id, value = edit
    return document.with_prompts(frame, {object_id: value})


@settings(max_examples=30, deadline=None)
@given(st.lists(EDITS | MOVES, max_size=8))
def test_the_history_is_a_list_and_a_position_also_after_every_reload(tmp_path_factory, actions):
    folder = tmp_path_factory.mktemp("run")
    documents, at = [Document()], 0
    for action in actions:
        kept = EditHistory(folder, Document())  # as after a restart
        if action == "undo":
            assert (kept.move("undo") is None) == (at == 0)
            at = max(at - 1, 0)
        elif action == "redo":
            assert (kept.move("redo") is None) == (at == len(documents) - 1)
            at = min(at + 1, len(documents) - 1)
        else:
            document = edited(documents[at], action)
            kept.do("edited", 0, document)
            documents, at = [*documents[: at + 1], document], at + 1
        assert kept.current == documents[at]
    assert EditHistory(folder, Document()).current == documents[at]


def test_undo_after_an_edit_is_nothing_and_redo_is_the_edit(tmp_path):
    kept = EditHistory(tmp_path, Document())
    before = kept.current
    kept.do("painted", 3, edited(before, (3, 1, VALUES[0])))
    after = kept.current
    assert kept.undone.did == "painted"
    assert kept.undone.frame == 3
    step = kept.move("undo")
    assert (step.did, step.frame, kept.current) == ("painted", 3, before)
    assert kept.undone is None
    assert kept.redone.did == "painted"
    kept.move("redo")
    assert kept.current == after


def test_the_revision_rises_with_everything_that_changes(tmp_path):
    kept = EditHistory(tmp_path, Document())
    seen = [kept.revision]
    kept.do("a", None, edited(kept.current, (0, 1, VALUES[0])))
    seen.append(kept.revision)
    kept.amend(kept.current.with_seen((0, 1, "jump"), True))
    seen.append(kept.revision)
    kept.move("undo")
    seen.append(kept.revision)
    seen.append(EditHistory(tmp_path, Document()).revision)
    assert seen == sorted(set(seen))


def test_a_line_that_was_cut_off_is_an_edit_that_was_not_made(tmp_path):
    kept = EditHistory(tmp_path, Document())
    kept.do("a", 0, edited(kept.current, (0, 1, VALUES[0])))
    wanted = kept.current
    kept.do("b", 0, edited(kept.current, (0, 1, VALUES[1])))
    path = tmp_path / ".app" / "history.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    again = EditHistory(tmp_path, Document())
    assert again.current == wanted
    again.do("c", 0, edited(again.current, (1, 1, VALUES[2])))
    assert EditHistory(tmp_path, Document()).current == again.current


def test_a_document_that_is_damaged_gives_way_to_the_one_before(tmp_path):
    kept = EditHistory(tmp_path, Document())
    kept.do("a", 0, edited(kept.current, (0, 1, VALUES[0])))
    wanted = kept.current
    kept.do("b", 0, edited(kept.current, (0, 1, VALUES[1])))
    (newest,) = [p for p in (tmp_path / ".app/documents").iterdir() if VALUES[1] in p.read_text()]
    newest.write_text(newest.read_text().replace(VALUES[1], VALUES[2]))
    assert EditHistory(tmp_path, Document()).current == wanted


def test_five_hundred_steps_can_be_undone_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "DEPTH", 3)
    kept = EditHistory(tmp_path, Document())
    for frame in range(6):
        kept.do(f"step {frame}", frame, edited(kept.current, (frame, 1, VALUES[0])))
    last = kept.current
    again = EditHistory(tmp_path, Document())
    assert again.current == last
    assert [again.move("undo").frame for _ in range(3)] == [5, 4, 3]
    assert again.move("undo") is None
    assert [again.move("redo").frame for _ in range(3)] == [3, 4, 5]
    assert again.current == last
    assert len(list((tmp_path / ".app" / "documents").iterdir())) == 4


def test_steps_beyond_the_depth_do_not_confuse_those_that_follow(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "DEPTH", 3)
    kept = EditHistory(tmp_path, Document())
    for frame in range(9):
        kept.do("step", frame, edited(kept.current, (frame, 1, VALUES[0])))
    kept.move("undo")
    kept.do("other", 20, edited(kept.current, (20, 1, VALUES[1])))
    again = EditHistory(tmp_path, Document())
    assert again.current == kept.current
    assert again.undone.did == "other"


def test_a_full_disk_is_an_error_and_changes_nothing(tmp_path, monkeypatch):
    kept = EditHistory(tmp_path, Document())
    before, revision = kept.current, kept.revision

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(history.os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"):
        kept.do("a", 0, edited(kept.current, (0, 1, VALUES[0])))
    assert (kept.current, kept.revision) == (before, revision)


def test_hostile_lines_are_skipped(tmp_path):
    kept = EditHistory(tmp_path, Document())
    kept.do("a", 0, edited(kept.current, (0, 1, VALUES[0])))
    lines = [
        '{"n": 9, "did": "x", "frame": null, "document": "../../etc/passwd", "at": 2}',
        '{"n": 9, "did": "x", "frame": null, "document": "ab", "at": 99999}',
        '{"n": "9", "did": 4}',
        "[" * 5000,
        "null",
    ]
    with (tmp_path / ".app" / "history.jsonl").open("a") as file:
        file.write("\n".join(["", *lines, json.dumps({})]))
    assert EditHistory(tmp_path, Document()).current == kept.current
