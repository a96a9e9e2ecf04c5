"""Files are whole or absent; names stay in their folder."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcast.core import files
from maskcast.core.errors import DataError, MissingFileError, OutputError, RunConflictError
from maskcast.core.files import (
    alone_in,
    check_writable,
    make_folder,
    path_inside,
    read_file,
    replacing,
    write_bytes,
    write_text,
)


def test_a_file_is_written_with_its_folder(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "grün")
    assert (tmp_path / "a" / "b.txt").read_text("utf-8") == "grün"
    write_bytes(tmp_path / "a" / "b.txt", b"new", sync=True)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.txt"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_is_linked_or_else_copied(has_links, tmp_path, monkeypatch):
    def no_links(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "no hard links", str(target))

    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("content")
    files.link_or_copy(first, second)
    assert second.read_text() == "content" and first.samefile(second) is has_links


def test_an_interruption_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "not writable"),
        (errno.EROFS, "read-only"),
    ],
)
def test_what_the_disk_says_is_passed_on(tmp_path, monkeypatch, number, message):
    def fail(_self: Path, _content: bytes) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OutputError, match=f"cannot write .*a.txt: .*{message}"):
        write_bytes(tmp_path / "a.txt", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="is a file, not a folder"):
        write_text(tmp_path / "taken" / "a.txt", "x")


def test_whatever_the_system_says_of_the_file_itself_is_passed_on(tmp_path):
    def fail() -> None:
        with replacing(tmp_path / "a.txt") as temporary:
            raise FileNotFoundError(errno.ENOENT, "gone", str(temporary))

    with pytest.raises(OutputError, match=r"cannot write .*a\.txt: gone"):
        fail()


def test_other_faults_are_not_dressed_up(tmp_path):
    def fail() -> None:
        with replacing(tmp_path / "a.txt"):
            raise FileNotFoundError(errno.ENOENT, "something else is missing")

    with pytest.raises(FileNotFoundError, match="something else"):
        fail()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "must not be empty or start with a dot"),
        ("..", "start with a dot"),
        (".hidden", "start with a dot"),
        ("../../etc/passwd", "start with a dot"),
        ("a/../../b", "must not contain /"),
        ("/etc/passwd", "must not contain /"),
        ("C:\\windows", "must not contain /"),
        ("a\nb", "line break"),
        ("a\0b", "control character"),
        ("x" * 300, "takes 304 bytes"),
        ("ü" * 140, "takes 284 bytes"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name, message):
    with pytest.raises(DataError, match=message) as caught:
        path_inside(tmp_path, name, ".png")
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", ["00000", "a..b", "кадр 7", "猫", "naïve café", "x" * 251])
def test_ordinary_names_are_taken_as_they_are(tmp_path, name):
    path = path_inside(tmp_path, name, ".png")
    path.write_text("")
    assert [found.name for found in tmp_path.iterdir()] == [name + ".png"]


@settings(max_examples=50)
@given(name=st.text(max_size=20))
def test_no_name_leaves_the_folder(name):
    folder = Path("/srv/out")
    try:
        path = path_inside(folder, name, ".png")
    except DataError:
        return
    assert path.resolve().parent == folder
    assert path.name == name + ".png"


def test_one_at_a_time_is_alone_in_a_folder(tmp_path):
    with alone_in(tmp_path / "run"):
        with pytest.raises(RunConflictError, match=r"another process is writing to .*run; wait"):
            alone_in(tmp_path / "run").__enter__()
        with alone_in(tmp_path / "other"):
            pass
    with alone_in(tmp_path / "run"):
        pass


def test_a_forked_process_keeps_nobody_out_when_its_parent_has_left(tmp_path):
    ours, childs = socket.socketpair()
    with alone_in(tmp_path):
        child = os.fork()
        if child == 0:
            childs.send(b"begun")
            childs.recv(1)
            os._exit(0)
        assert ours.recv(5) == b"begun"
    try:
        with alone_in(tmp_path):
            pass
    finally:
        ours.send(b".")
        os.waitpid(child, 0)
        ours.close()
        childs.close()


class _Windows:
    """The lock of Windows on this system: one byte of a file, with its errors."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.tries = 0
        self.error = errno.EACCES

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        assert (mode, count) == (self.LK_NBLCK, 1)
        self.tries += 1
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(self.error, "denied") from None


@pytest.fixture
def windows(monkeypatch) -> _Windows:
    """A system without ``fcntl`` and fork, which opens no folders."""
    system, opened = _Windows(), os.open

    def open_(path, flags, *more):
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, flags, *more)

    monkeypatch.setattr(files, "fcntl", None)
    monkeypatch.setattr(files, "msvcrt", system)
    monkeypatch.setattr(files, "BETWEEN_TRIES", 0.001)
    monkeypatch.setattr(files.os, "open", open_)
    return system


@pytest.mark.parametrize("error", [errno.EACCES, errno.EDEADLK])
def test_one_at_a_time_is_alone_in_a_folder_on_windows(windows, tmp_path, error):
    windows.error = error
    with alone_in(tmp_path / "run"):
        assert (tmp_path / "run" / ".lock").exists()
        with pytest.raises(RunConflictError, match=r"another process is writing to .*run; wait"):
            alone_in(tmp_path / "run").__enter__()
        with alone_in(tmp_path / "other"):
            pass
    assert not list((tmp_path / "run").iterdir())
    with alone_in(tmp_path / "run"):
        pass


def test_the_second_process_waits_its_turn_on_windows(windows, tmp_path):
    order = []

    def second() -> None:
        with alone_in(tmp_path, wait=True):
            order.append("second")

    with alone_in(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        while windows.tries < 3:
            time.sleep(0.001)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_file_system_without_locks_lets_everyone_in_on_windows(windows, tmp_path):
    windows.error = errno.EINVAL
    with alone_in(tmp_path), alone_in(tmp_path):
        pass


def test_files_and_folders_are_flushed(tmp_path, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: asked.append(os.fstat(number).st_ino))
    path = tmp_path / "masks"
    path.write_bytes(b"x")
    files.flush_to_disk(path)
    files.flush_to_disk(tmp_path)
    assert asked == [path.stat().st_ino, tmp_path.stat().st_ino]


@pytest.mark.parametrize("inner", ["", "run"])
def test_a_link_to_nothing_is_named(tmp_path, inner):
    (tmp_path / "out").symlink_to(tmp_path / "gone")
    target = tmp_path / "out" / inner
    words = r"out is a link to .*gone, which does not exist"
    with pytest.raises(OutputError, match=f"cannot write into .*{words}"):
        check_writable(target)
    with pytest.raises(OutputError, match=f"cannot create the folder .*{words}"):
        make_folder(tmp_path / "out" / "a")


def test_files_of_others_are_read_up_to_a_size(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    assert read_file(tmp_path / "a", largest=4) == b"1234"
    with pytest.raises(DataError, match="larger than 3 bytes"):
        read_file(tmp_path / "a", largest=3)
    with pytest.raises(DataError, match="not a regular file"):
        read_file(tmp_path, largest=3)
    with pytest.raises(MissingFileError):
        read_file(tmp_path / "b", largest=3)
