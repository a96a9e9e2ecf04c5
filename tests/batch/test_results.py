"""Results are moved with the run card last, and only one of two processes succeeds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batch.pretended import queued
from maskcast.batch import results
from maskcast.batch.engine import Assignment
from maskcast.batch.results import MadeFrom, commit, finished_from, remove_work
from maskcast.core.errors import RunConflictError


def work_in(folder: Path, *, mask: bytes = b"mask") -> Path:
    run = folder / "run"
    (run / ".states").mkdir(parents=True)
    (run / "00000.png").write_bytes(mask)
    (run / "exports").mkdir()
    (run / "exports" / "tracks.csv").write_text("t")
    (run / ".states" / "00000000.safetensors").write_text("s")
    (run / "run.json").write_text(json.dumps({"status": "finished"}))
    return folder


def assignment(request: str = "r", **changes: object) -> Assignment:
    return Assignment(**{**vars(queued("a").work), "request": request, **changes})


def test_results_are_complete_before_the_card(tmp_path, monkeypatch):
    seen = []
    create = results._create

    def watched(path, content):
        seen.append(sorted(entry.name for entry in path.parent.iterdir()))
        create(path, content)

    monkeypatch.setattr(results, "_create", watched)
    assert commit(work_in(tmp_path / "w"), tmp_path / "out", assignment())
    assert seen == [["00000.png", "exports", "job.json"]]
    target = tmp_path / "out" / "videos" / "a"
    assert finished_from(target) == MadeFrom("r", "i")
    assert sorted(e.name for e in target.iterdir()) == sorted([*seen[0], "run.json"])


def test_the_second_of_two_equal_results_is_dropped(tmp_path):
    commit(work_in(tmp_path / "one"), tmp_path / "out", assignment())
    assert not commit(work_in(tmp_path / "two", mask=b"late"), tmp_path / "out", assignment())
    assert (tmp_path / "out" / "videos" / "a" / "00000.png").read_bytes() == b"mask"


def test_results_of_another_request_are_kept_unless_they_may_be_replaced(tmp_path):
    commit(work_in(tmp_path / "one"), tmp_path / "out", assignment())
    work = work_in(tmp_path / "two", mask=b"new")
    with pytest.raises(RunConflictError, match="finished results of another request"):
        commit(work, tmp_path / "out", assignment("other"))
    assert (tmp_path / "out" / "videos" / "a" / "00000.png").read_bytes() == b"mask"
    assert commit(work, tmp_path / "out", assignment("other", replaces=True))
    target = tmp_path / "out" / "videos" / "a"
    assert (target / "00000.png").read_bytes() == b"new"
    assert finished_from(target) == MadeFrom("other", "i")


def test_what_a_killed_commit_left_is_replaced(tmp_path):
    target = tmp_path / "out" / "videos" / "a"
    (target / "exports").mkdir(parents=True)
    (target / "exports" / "old.csv").write_text("old")
    (target / "00009.png").write_bytes(b"old")
    assert commit(work_in(tmp_path / "w"), tmp_path / "out", assignment())
    assert not (target / "00009.png").exists()
    assert [path.name for path in (target / "exports").iterdir()] == ["tracks.csv"]


def test_folders_of_other_videos_are_never_deleted(tmp_path):
    inner = tmp_path / "out" / "videos" / "a" / "inner"
    inner.mkdir(parents=True)
    (inner / "run.json").write_text("{}")
    with pytest.raises(RunConflictError, match="contains the folder inner"):
        commit(work_in(tmp_path / "w"), tmp_path / "out", assignment())
    assert (inner / "run.json").exists()


def test_the_card_is_created_only_if_there_is_none(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    path.write_text("first")
    with pytest.raises(RunConflictError, match="was written by another process"):
        results._create(path, b"second")
    assert path.read_text() == "first"

    def link(*_):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", link)  # as on file systems without hard links
    with pytest.raises(RunConflictError, match="was written by another process"):
        results._create(path, b"second")
    results._create(tmp_path / "other.json", b"new")
    assert (tmp_path / "other.json").read_bytes() == b"new"


def test_states_are_kept_only_if_asked(tmp_path):
    commit(work_in(tmp_path / "one"), tmp_path / "out", assignment())
    assert not (tmp_path / "out" / "videos" / "a" / ".states").exists()
    commit(work_in(tmp_path / "two"), tmp_path / "kept", assignment(), keep_states=True)
    assert (tmp_path / "kept" / "videos" / "a" / ".states" / "00000000.safetensors").is_file()


def test_empty_folders_above_a_finished_video_go_too(tmp_path):
    work_in(tmp_path / "work" / "s" / "a")
    work_in(tmp_path / "work" / "t" / "b")
    remove_work(tmp_path / "work" / "s" / "a", tmp_path / "work")
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["t"]
