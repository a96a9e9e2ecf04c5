"""Stores of label maps give back what they were given, whatever the process did in between."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from maskcast.core.errors import DataError, MissingFileError, OutputError
from maskcast.io.label_maps import LARGEST_ID
from maskcast.runs.masks import FoundObject, MaskStore, PngMasks

LABEL_MAP = np.array([[0, 1, 1], [0, 3, 1]], np.int32)
OBJECTS = {1: FoundObject(3, 0.75), 3: FoundObject(1, 0.5), 8: FoundObject(0, None)}


def frame_name(frame_index: int) -> str:
    return f"{frame_index:05d}"


@pytest.fixture
def store(tmp_path) -> MaskStore:
    return PngMasks(tmp_path / "run", frame_name)


def test_what_was_written_is_read(store):
    store.write(7, LABEL_MAP, OBJECTS)
    np.testing.assert_array_equal(store.read(7), LABEL_MAP)
    assert [store.has(frame_index) for frame_index in (6, 7)] == [False, True]
    assert store.path(7).is_file()


def test_a_frame_written_twice_has_the_later_label_map(store):
    store.write(0, LABEL_MAP, OBJECTS)
    store.write(0, LABEL_MAP[::-1], OBJECTS)
    np.testing.assert_array_equal(store.read(0), LABEL_MAP[::-1])


@pytest.mark.parametrize("value", [0, 255, 256, 65535, 65536, LARGEST_ID])
def test_any_id_that_is_allowed_comes_back(value, store):
    label_map = np.full((2, 2), value, np.int32)
    store.write(0, label_map, {value: FoundObject(4, 1.0)} if value else {})
    np.testing.assert_array_equal(store.read(0), label_map)


@pytest.mark.parametrize("value", [-1, LARGEST_ID + 1])
def test_other_ids_are_an_error(value, store):
    with pytest.raises(DataError, match=f"id {value}"):
        store.write(0, np.full((2, 2), value, np.int32), {})
    assert not store.has(0)


def test_a_removed_frame_is_gone(store):
    store.write(0, LABEL_MAP, OBJECTS)
    store.write(1, LABEL_MAP, OBJECTS)
    store.remove(0)
    store.remove(5)  # was never there
    assert [store.has(frame_index) for frame_index in (0, 1)] == [False, True]
    with pytest.raises(MissingFileError):
        store.read(0)
    store.flush()  # does not ask for the file that is gone


@pytest.mark.parametrize("name", ["../outside", "a/b", "", ".hidden", "a\nb", "x" * 300])
def test_no_name_leads_out_of_the_folder(name, tmp_path):
    store = PngMasks(tmp_path / "run", lambda _: name)
    with pytest.raises(DataError, match="name"):
        store.write(0, LABEL_MAP, OBJECTS)
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("links", [True, False])
def test_a_copy_outlives_the_original(links, tmp_path, store, monkeypatch):
    def no_links(source: Path, target: Path) -> None:
        raise OSError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    other = PngMasks(tmp_path / "aside", frame_name)
    store.write(2, LABEL_MAP, OBJECTS)
    store.copy_to(other, 2)
    store.write(2, LABEL_MAP[::-1], OBJECTS)
    np.testing.assert_array_equal(other.read(2), LABEL_MAP)
    store.remove(2)
    np.testing.assert_array_equal(other.read(2), LABEL_MAP)


def test_what_is_not_there_cannot_be_copied(tmp_path, store):
    with pytest.raises(MissingFileError, match="00002"):
        store.copy_to(PngMasks(tmp_path / "aside", frame_name), 2)


def test_a_disk_error_is_reported(store, monkeypatch):
    def fail(path: Path) -> None:
        raise OSError(5, "Input/output error")

    store.write(0, LABEL_MAP, OBJECTS)
    monkeypatch.setattr("maskcast.runs.masks.flush_to_disk", fail)
    with pytest.raises(OutputError, match=r"cannot write .*Input/output error"):
        store.flush()
