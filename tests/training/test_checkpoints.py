"""Checkpoints: which are kept, and what a reader accepts."""

from __future__ import annotations

import os
import pickle
import resource
from pathlib import Path

import pytest
import torch

from maskcast.core.errors import OutputError, TrainingError
from maskcast.training.checkpoints import CheckpointFolder, read_checkpoint


def test_the_last_ones_and_the_best_are_kept(tmp_path: Path):
    folder = CheckpointFolder(tmp_path)
    for step in (5, 10, 100, 2000):
        folder.save({"step": step}, step=step, best=step == 10, keep_last=2)
    assert [path.name for path in folder.paths()] == ["step-000000100.pt", "step-000002000.pt"]
    assert read_checkpoint(folder.best)["step"] == 10
    path, state = folder.latest()
    assert (path.name, state["step"]) == ("step-000002000.pt", 2000)
    assert len(list(tmp_path.iterdir())) == 3  # nothing half-written is left


def test_a_kill_leaves_no_newer_checkpoint_than_its_best_one(tmp_path: Path, monkeypatch):
    """The run goes on from before the validation then, and finds the best one again."""
    folder = CheckpointFolder(tmp_path)
    folder.save({"step": 1}, step=1, best=True, keep_last=2)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("maskcast.training.checkpoints.link_or_copy", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.save({"step": 2}, step=2, best=True, keep_last=2)
    assert folder.latest()[1]["step"] == read_checkpoint(folder.best)["step"] == 1


def test_the_newest_whole_one_is_read(tmp_path: Path, caplog):
    folder = CheckpointFolder(tmp_path)
    for step in (1, 2, 3):
        folder.save({"step": step}, step=step, best=False, keep_last=9)
    (tmp_path / "step-000000003.pt").write_bytes(b"")
    (tmp_path / "step-000000002.pt").write_bytes(b"PK no zip at all")
    assert folder.latest()[1]["step"] == 1
    assert caplog.text.count("is damaged") == 2


def test_a_damaged_one_that_was_passed_over_does_not_outlive_a_whole_one(tmp_path: Path):
    folder = CheckpointFolder(tmp_path)
    (tmp_path / "step-000000003.pt").write_bytes(b"cut off")
    folder.save({"step": 2}, step=2, best=False, keep_last=1)
    assert [path.name for path in folder.paths()] == ["step-000000002.pt"]


def test_no_readable_one_is_an_error_and_none_at_all_is_not(tmp_path: Path):
    folder = CheckpointFolder(tmp_path)
    assert folder.latest() is None
    (tmp_path / "step-000000003.pt").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"cannot read any checkpoint in"):
        folder.latest()


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self):
        return Path.touch, (self.made,)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path):
    path, made = tmp_path / "step-000000001.pt", tmp_path / "made"
    torch.save({"format": 1, "x": Hostile(made)}, path, pickle_module=pickle)
    with pytest.raises(TrainingError, match="damaged"):
        read_checkpoint(path)
    assert not made.exists()


def test_another_format_is_refused(tmp_path: Path):
    torch.save({"format": 99}, tmp_path / "x.pt")
    with pytest.raises(TrainingError, match="has format 99 but this version reads 1"):
        read_checkpoint(tmp_path / "x.pt")


def test_a_file_system_without_room_is_one_sentence_and_keeps_the_checkpoint_before(tmp_path: Path):
    folder = CheckpointFolder(tmp_path)
    folder.save({"step": 1}, step=1, best=False, keep_last=1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*step-0*2\.pt: the file is to"):
            folder.save({"x": torch.zeros(10_000)}, step=2, best=False, keep_last=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.pt"]


@pytest.mark.parametrize("place", ["pickle", "numbers", "directory"])
def test_one_changed_byte_anywhere_is_damage(tmp_path: Path, place: str):
    folder = CheckpointFolder(tmp_path)
    for step in (1, 2):
        numbers = torch.arange(64, dtype=torch.float32)
        folder.save({"step": step, "x": numbers}, step=step, best=False, keep_last=2)
    newest = folder.paths()[-1]
    content = bytearray(newest.read_bytes())
    wanted = {"pickle": b"step", "numbers": torch.tensor(63.0).numpy().tobytes()}
    at = content.rindex(b"PK\1\2") if place == "directory" else content.index(wanted[place])
    content[at] ^= 0x80
    newest.write_bytes(bytes(content))
    path, state = folder.latest()
    assert (path.name, state["step"]) == ("step-000000001.pt", 1)


@pytest.mark.parametrize("content", [[1], {"step": 2}, "text"])
def test_a_file_without_a_format_is_passed_over(tmp_path: Path, content):
    folder = CheckpointFolder(tmp_path)
    folder.save({"step": 1}, step=1, best=False, keep_last=2)
    torch.save(content, tmp_path / "step-000000002.pt")
    assert folder.latest()[1]["step"] == 1


def test_folders_and_pipes_are_not_checkpoints(tmp_path: Path):
    folder = CheckpointFolder(tmp_path)
    (tmp_path / "step-000000008.pt").mkdir()
    os.mkfifo(tmp_path / "step-000000009.pt")
    folder.save({"step": 1}, step=1, best=False, keep_last=2)
    assert folder.latest()[1]["step"] == 1
