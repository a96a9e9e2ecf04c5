"""Stores of label maps give back what they were given, whatever the process did in between."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from maskcast.core.errors import DataError, MissingFileError, OutputError
from maskcast.io.label_maps import LARGEST_ID
from maskcast.runs.masks import FoundObject, MaskForm, MaskStore, PngMasks, RleMasks, mask_store

LABEL_MAP = np.array([[0, 1, 1], [0, 3, 1]], np.int32)
OBJECTS = {1: FoundObject(3, 0.75), 3: FoundObject(1, 0.5), 8: FoundObject(0, None)}
FORMS: list[MaskForm] = ["png", "rle"]
ODD_NAMES = ["a{b}", '"quoted", name', "été ☃", "100%", "a,b;c", "}}"]


def frame_name(frame_index: int) -> str:
    return f"{frame_index:05d}"


def reopened(store: MaskStore) -> MaskStore:
    return type(store)(store.folder, frame_name)


@pytest.fixture(params=FORMS)
def store(request, tmp_path) -> MaskStore:
    return mask_store(request.param, tmp_path / "run", frame_name)


def test_what_was_written_is_read(store):
    store.write(7, LABEL_MAP, OBJECTS)
    for each in (store, reopened(store)):
        np.testing.assert_array_equal(each.read(7), LABEL_MAP)
        assert [each.has(frame_index) for frame_index in (6, 7)] == [False, True]
        assert each.path(7).is_file()


def test_a_frame_written_twice_has_the_later_label_map(store):
    store.write(0, LABEL_MAP, OBJECTS)
    store.write(0, LABEL_MAP[::-1], OBJECTS)
    for each in (store, reopened(store)):
        np.testing.assert_array_equal(each.read(0), LABEL_MAP[::-1])


@pytest.mark.parametrize("value", [0, 255, 256, 65535, 65536, LARGEST_ID])
def test_any_id_that_is_allowed_comes_back(value, store):
    label_map = np.full((2, 2), value, np.int32)
    store.write(0, label_map, {value: FoundObject(4, 1.0)} if value else {})
    np.testing.assert_array_equal(store.read(0), label_map)


@pytest.mark.parametrize("value", [-1, LARGEST_ID + 1])
def test_other_ids_are_an_error(value, store):
    with pytest.raises(DataError, match=f"got {value}"):
        store.write(0, np.full((2, 2), value, np.int32), {})
    assert not store.has(0)


def test_a_removed_frame_is_gone(store):
    store.write(0, LABEL_MAP, OBJECTS)
    store.write(1, LABEL_MAP, OBJECTS)
    store.remove(0)
    store.remove(5)  # was never there
    for each in (store, reopened(store)):
        assert [each.has(frame_index) for frame_index in (0, 1)] == [False, True]
        with pytest.raises(MissingFileError):
            each.read(0)
    store.flush()  # does not ask for a file that is gone
    store.write(0, LABEL_MAP[::-1], OBJECTS)
    np.testing.assert_array_equal(reopened(store).read(0), LABEL_MAP[::-1])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["../outside", "a/b", "", ".hidden", "a\nb", "x" * 300, "\udcff"])
def test_no_name_leads_out_of_the_folder(form, name, tmp_path):
    store = mask_store(form, tmp_path / "run", lambda _: name)
    with pytest.raises(DataError, match="name"):
        store.write(0, LABEL_MAP, OBJECTS)
    with pytest.raises(DataError, match="name"):
        store.path(0)
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize("form", FORMS)
def test_odd_names_are_names(form, tmp_path):
    store = mask_store(form, tmp_path, ODD_NAMES.__getitem__)
    for frame_index in range(len(ODD_NAMES)):
        store.write(frame_index, LABEL_MAP * (frame_index + 1), {})
    store.finish()
    again = mask_store(form, tmp_path, ODD_NAMES.__getitem__)
    for frame_index in range(len(ODD_NAMES)):
        np.testing.assert_array_equal(again.read(frame_index), LABEL_MAP * (frame_index + 1))


@pytest.mark.parametrize("links", [True, False])
def test_a_copied_png_outlives_the_original(links, tmp_path, monkeypatch):
    def no_links(source: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    store, other = PngMasks(tmp_path / "run", frame_name), PngMasks(tmp_path / "a", frame_name)
    store.write(2, LABEL_MAP, OBJECTS)
    store.copy_to(other, 2, OBJECTS)
    store.write(2, LABEL_MAP[::-1], OBJECTS)
    np.testing.assert_array_equal(other.read(2), LABEL_MAP)
    store.remove(2)
    np.testing.assert_array_equal(other.read(2), LABEL_MAP)


@pytest.mark.parametrize("form", FORMS)
def test_a_frame_that_is_copied_away_and_back_is_the_same_file(form, tmp_path, store):
    other = mask_store(form, tmp_path / "aside", lambda i: f"aside-{i}")
    store.write(2, LABEL_MAP, OBJECTS)
    before = store.path(2).read_bytes()
    store.copy_to(other, 2, OBJECTS)
    again = type(store)(tmp_path / "again", frame_name)
    other.copy_to(again, 2, OBJECTS)
    np.testing.assert_array_equal(other.read(2), LABEL_MAP)
    assert again.path(2).read_bytes() == before


@pytest.mark.parametrize("form", FORMS)
def test_what_is_not_there_cannot_be_copied(form, tmp_path, store):
    with pytest.raises(MissingFileError):
        store.copy_to(mask_store(form, tmp_path / "aside", frame_name), 2, OBJECTS)


def test_a_disk_error_is_reported(store, monkeypatch):
    def fail(path: Path) -> None:
        raise OSError(5, "Input/output error")

    store.write(0, LABEL_MAP, OBJECTS)
    monkeypatch.setattr("maskcast.runs.masks.flush_to_disk", fail)
    with pytest.raises(OutputError, match=r"cannot write .*Input/output error"):
        store.flush()


def test_only_what_was_written_is_flushed(store, monkeypatch):
    flushed: list[str] = []
    monkeypatch.setattr("maskcast.runs.masks.flush_to_disk", lambda p: flushed.append(p.name))
    store.flush()
    store.write(0, LABEL_MAP, OBJECTS)
    store.flush()
    store.flush()
    assert flushed == [store.path(0).name, "run"]


@pytest.fixture
def rle(tmp_path) -> RleMasks:
    return RleMasks(tmp_path / "run", frame_name)


def test_the_objects_of_a_frame_are_stored_with_it(rle):
    rle.write(3, LABEL_MAP, OBJECTS)
    entry = json.loads((rle.folder / "masks.jsonl").read_text())
    found = {key: (each["area"], each["confidence"]) for key, each in entry["objects"].items()}
    assert found == {"1": (3, 0.75), "3": (1, 0.5), "8": (0, None)}


def test_a_finished_store_is_one_compressed_file_in_order(rle):
    for frame_index in (2, 0, 1, 0):
        rle.write(frame_index, LABEL_MAP * (frame_index + 1), {})
    rle.remove(1)
    rle.finish()
    rle.finish()
    assert [path.name for path in rle.folder.iterdir()] == ["masks.jsonl.gz"]
    with gzip.open(rle.folder / "masks.jsonl.gz") as file:
        assert [json.loads(line)["frame"] for line in file] == [0, 2]
    for each in (rle, reopened(rle)):
        assert [each.has(frame_index) for frame_index in range(3)] == [True, False, True]
        np.testing.assert_array_equal(each.read(2), 3 * LABEL_MAP)


def test_an_empty_store_stays_empty(rle):
    rle.flush()
    rle.finish()
    assert not rle.folder.exists()


def test_a_finished_store_takes_corrections(rle):
    for frame_index in range(3):
        rle.write(frame_index, LABEL_MAP, OBJECTS)
    rle.finish()
    again = reopened(rle)
    again.write(1, LABEL_MAP[::-1], OBJECTS)
    assert [path.name for path in rle.folder.iterdir()] == ["masks.jsonl"]
    np.testing.assert_array_equal(reopened(again).read(1), LABEL_MAP[::-1])
    again.remove(2)
    again.finish()
    final = reopened(again)
    assert [final.has(frame_index) for frame_index in range(3)] == [True, True, False]
    np.testing.assert_array_equal(final.read(1), LABEL_MAP[::-1])
    np.testing.assert_array_equal(final.read(0), LABEL_MAP)


def test_of_both_files_the_open_one_counts(rle):
    rle.write(0, LABEL_MAP, OBJECTS)
    rle.finish()
    stale = (rle.folder / "masks.jsonl.gz").read_bytes()
    rle.write(0, LABEL_MAP[::-1], OBJECTS)
    (rle.folder / "masks.jsonl.gz").write_bytes(stale)  # as after a power cut
    again = reopened(rle)
    np.testing.assert_array_equal(again.read(0), LABEL_MAP[::-1])
    again.write(1, LABEL_MAP, OBJECTS)
    assert [path.name for path in rle.folder.iterdir()] == ["masks.jsonl"]


@pytest.mark.parametrize("cut", [1, 20, 10_000])
def test_a_line_that_was_cut_off_is_a_frame_that_is_not_there(cut, rle):
    rle.write(0, LABEL_MAP, OBJECTS)
    rle.write(1, LABEL_MAP, OBJECTS)
    path = rle.path(0)
    content = path.read_bytes()
    length = len(content.splitlines(keepends=True)[1])
    path.write_bytes(content[: -min(cut + 1, length - 1)])  # one byte of the line stays
    again = reopened(rle)
    assert [again.has(0), again.has(1)] == [True, False]
    again.write(2, LABEL_MAP[::-1], OBJECTS)
    for each in (again, reopened(again)):
        assert [each.has(frame_index) for frame_index in range(3)] == [True, False, True]
        np.testing.assert_array_equal(each.read(2), LABEL_MAP[::-1])


def test_a_full_disk_leaves_a_store_that_can_be_written_to(rle, monkeypatch):
    rle.write(0, LABEL_MAP, OBJECTS)
    opened = Path.open

    def full(path, *arguments):
        file = opened(path, *arguments)
        write = file.write

        class Full:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def tell(self):
                return file.tell()

            def write(self, content):
                write(content[:10])
                raise OSError(28, "No space left on device")

        return Full()

    with monkeypatch.context() as patch, pytest.raises(OutputError, match="No space left"):
        rle.has(0)
        patch.setattr(Path, "open", full)
        rle.write(1, LABEL_MAP, OBJECTS)
    rle.write(2, LABEL_MAP[::-1], OBJECTS)
    for each in (rle, reopened(rle)):
        assert [each.has(frame_index) for frame_index in range(3)] == [True, False, True]
        np.testing.assert_array_equal(each.read(2), LABEL_MAP[::-1])


def test_a_damaged_file_is_named_with_what_to_do(rle):
    rle.write(0, LABEL_MAP, OBJECTS)
    rle.finish()
    path = rle.folder / "masks.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"masks\.jsonl\.gz.*; delete it"):
        reopened(rle).has(0)


class RleLikeADictionary(RuleBasedStateMachine):
    """Any sequence of calls, kills included, leaves what a dictionary would hold."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        for path in self.folder.glob("*"):
            path.unlink()
        self.store = RleMasks(self.folder, frame_name)
        self.expected: dict[int, np.ndarray] = {}

    @rule(frame_index=st.integers(0, 5), value=st.sampled_from([0, 1, 2, 300, LARGEST_ID]))
    def write(self, frame_index, value):
        label_map = np.array([[value, 0, 7]], np.int32)
        self.store.write(frame_index, label_map, {9: FoundObject(0, None)})
        self.expected[frame_index] = label_map

    @rule(frame_index=st.integers(0, 5))
    def remove(self, frame_index):
        self.store.remove(frame_index)
        self.expected.pop(frame_index, None)

    @rule()
    def finish(self):
        self.store.finish()

    @rule()
    def open_again(self):
        self.store = RleMasks(self.folder, frame_name)

    @rule(line=st.binary(min_size=1, max_size=8))
    def be_killed_while_writing(self, line):
        self.store.write(6, np.zeros((1, 3), np.int32), {})  # so that there is a file to append to
        with self.store.path(0).open("ab") as file:
            file.write(b'{"frame": 0, "na' + line.replace(b"\n", b""))
        self.store = RleMasks(self.folder, frame_name)
        self.expected[6] = np.zeros((1, 3), np.int32)

    @invariant()
    def it_holds_what_was_written(self):
        assert [i for i in range(7) if self.store.has(i)] == sorted(self.expected)
        for frame_index, label_map in self.expected.items():
            np.testing.assert_array_equal(self.store.read(frame_index), label_map)


def test_any_sequence_of_calls(tmp_path):
    RleLikeADictionary.folder = tmp_path
    run_state_machine_as_test(
        RleLikeADictionary,
        settings=settings(max_examples=25, stateful_step_count=20, deadline=None),
    )


WRITER = """
import itertools, sys
from pathlib import Path
import numpy as np
from maskcast.runs.masks import RleMasks
store = RleMasks(Path(sys.argv[1]), lambda i: f"{i:05d}")
for number in itertools.count():
    if number % 40 == 39:
        store.finish()
    store.write(number % 60, np.full((30, 40), number + 1, np.int32), {})
    store.flush()
    print(number, flush=True)
"""


def test_a_killed_process_keeps_every_frame_it_has_flushed(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for seconds in (0.0, 0.11, 0.23):
        command = [sys.executable, "-c", WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(seconds)
            writer.send_signal(signal.SIGKILL)
            lines = writer.stdout.read().splitlines()
        last = int(lines[-1]) if lines else 0
        store = RleMasks(tmp_path, frame_name)
        for number in range(max(0, last - 58), last + 1):
            assert set(np.unique(store.read(number % 60))) == {number + 1}


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "no end", "folder", "other"])
def test_a_damaged_png_counts_as_missing(tmp_path, damage):
    store = PngMasks(tmp_path, frame_name)
    store.write(0, LABEL_MAP, OBJECTS)
    assert store.has(0)
    path = store.path(0)
    content = path.read_bytes()
    damaged = {
        "cut": content[:-20],
        "empty": b"",
        "changed": content[:60] + bytes([content[60] ^ 1]) + content[61:],
        "no end": content[:-12],
        "other": b"GIF89a" + content,
    }
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(damaged[damage])
    assert not store.has(0)
