"""What pages send is read within bounds."""

from __future__ import annotations

import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from maskcast.core.errors import DataError, UsageError
from maskcast.io.label_maps import write_label_map
from maskcast.web import wire
from maskcast.web.wire import Fields, inflate, png_of_slots, read_json, slots_png, to_slots

SIZE = (24, 32)
VIEW = np.arange(24 * 32, dtype=np.uint8).reshape(SIZE)


def test_a_label_map_survives_the_way_up_and_the_way_down():
    view = inflate(zlib.compress(VIEW.tobytes()), SIZE)
    assert (view == VIEW).all()
    assert (np.asarray(Image.open(io.BytesIO(slots_png(view)))) == VIEW).all()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no zlib at all",
        zlib.compress(VIEW.tobytes())[:-8],
        zlib.compress(VIEW.tobytes()[:-1]),
        zlib.compress(VIEW.tobytes() + b"\0"),
        zlib.compress(VIEW.tobytes()) + b"more",
    ],
    ids=["empty", "not zlib", "cut off", "too little", "too much", "rest"],
)
def test_other_bodies_are_rejected(body):
    with pytest.raises(DataError):
        inflate(body, SIZE)


def test_inflation_stops_at_the_size_of_the_frame(monkeypatch):
    """A bomb of a gigabyte is not unpacked: no call returns more than one byte too many."""
    bomb = zlib.compress(bytes(2**24))
    most = []
    real = zlib.decompressobj

    class Watched:
        def __init__(self):
            self._stream = real()

        def decompress(self, body, limit):
            content = self._stream.decompress(body, limit)
            most.append(len(content))
            return content

        def __getattr__(self, name):
            return getattr(self._stream, name)

    monkeypatch.setattr(wire.zlib, "decompressobj", Watched)
    with pytest.raises(DataError):
        inflate(bomb, SIZE)
    assert most == [24 * 32 + 1]


def test_files_of_a_run_are_sent_as_they_are_if_they_are_bytes(tmp_path):
    write_label_map(tmp_path / "a.png", VIEW.astype(np.int32))
    assert png_of_slots(tmp_path / "a.png", SIZE) == (tmp_path / "a.png").read_bytes()
    assert png_of_slots(tmp_path / "a.png", (32, 24)) is None
    write_label_map(tmp_path / "b.png", VIEW.astype(np.int32) + 300)
    assert png_of_slots(tmp_path / "b.png", SIZE) is None
    (tmp_path / "c.png").write_bytes(b"short")
    assert png_of_slots(tmp_path / "c.png", SIZE) is None


@pytest.mark.parametrize("largest", [255, 70000])
def test_ids_become_slots_and_unknown_ones_background(largest):
    label_map = np.array([[0, 7, largest, 9]], dtype=np.int32)
    assert to_slots(label_map, {7: 1, largest: 2}).tolist() == [[0, 1, 2, 0]]


@pytest.mark.parametrize(
    "body",
    [b"[]", b"{", b"3", b"[" * 9000, json.dumps({"a": [[[[[[[[1]]]]]]]]}).encode(), b"x" * 70000],
)
def test_json_has_bounds(body):
    with pytest.raises(UsageError):
        read_json(body)


def test_fields_are_checked_one_by_one():
    fields = Fields({"n": 3, "t": "text", "b": True, "l": [1, 2], "z": None}, "n t b l z")
    assert fields.whole("n", 0, 3) == 3
    assert fields.text("t") == "text"
    assert fields.flag("b") is True
    assert fields.list_of("l", (int,), 2) == [1, 2]
    assert not fields.has("z")
    for wrong in (
        lambda: fields.whole("n", 0, 2),
        lambda: fields.whole("b", 0, 2),
        lambda: fields.text("n"),
        lambda: fields.text("t", 3),
        lambda: fields.flag("n"),
        lambda: fields.choice("t", ("a", "b")),
        lambda: fields.list_of("l", (str,), 2),
        lambda: fields.list_of("l", (int,), 1),
        lambda: Fields({"other": 1}, "n t"),
    ):
        with pytest.raises(UsageError):
            wrong()
