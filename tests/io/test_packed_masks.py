"""Files with all label maps of a video: round trips, pycocotools as second reader, fuzzing."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pycocotools.mask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskcast.core.errors import DataError, MissingFileError
from maskcast.io.label_maps import LARGEST_ID, encode_label_map
from maskcast.io.mask_lines import (
    LARGEST_LINE,
    MOST_FIELDS,
    PackedFrame,
    PackedObject,
    RemovedFrame,
    pack_frame,
    parse_line,
)
from maskcast.io.packed_masks import (
    RleFile,
    describe_packed_masks,
    open_packed_masks,
    pack_rle,
    unpack_rle,
    write_mask_zip,
)

IDS = (0, 1, 2, 255, 256, 65536, LARGEST_ID)
LABEL_MAP = np.array([[0, 1, 1], [0, 3, 1]], np.int32)

label_maps = hnp.arrays(
    np.int32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=24),
    elements=st.sampled_from(IDS),
)
names = st.text(min_size=1, max_size=80)


def packed(frame: int = 0, label_map=LABEL_MAP, name: str | None = None) -> PackedFrame:
    return pack_frame(frame, f"{frame:05d}" if name is None else name, label_map, {})


def in_a_file(path: Path, *frames: PackedFrame | RemovedFrame | bytes) -> Path:
    lines = [frame if isinstance(frame, bytes) else frame.line() for frame in frames]
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wb") as file:
        file.write(b"".join(lines))
    return path


def test_the_line_is_as_documented():
    # column by column: 0 0 | 1 3 | 1 1; of object 1: 2 background, 1 of it, 1 other, 2 of it
    line = pack_frame(12, "00012", LABEL_MAP, {1: 0.97, 3: 0.5, 8: None}).line()
    assert json.loads(line) == {
        "frame": 12,
        "name": "00012",
        "size": [2, 3],
        "objects": {
            "1": {"counts": "2111", "area": 3, "confidence": 0.97},
            "3": {"counts": "312", "area": 1, "confidence": 0.5},
            "8": {"counts": "6", "area": 0, "confidence": None},
        },
    }
    assert line.endswith(b"\n")


@settings(max_examples=80, deadline=None)
@given(label_map=label_maps, name=names, frame=st.integers(0, 2**40))
def test_any_frame_comes_back(label_map, name, frame):
    present = {int(i): 0.25 for i in np.unique(label_map) if i}
    written = pack_frame(frame, name, label_map, present | {77: None})
    read = parse_line(written.line())
    assert read == written
    np.testing.assert_array_equal(read.label_map(), label_map)
    assert read.label_map().dtype == np.int32
    assert {i: o.area for i, o in read.objects.items() if o.area} == {
        i: int((label_map == i).sum()) for i in present
    }


@settings(max_examples=40, deadline=None)
@given(label_map=label_maps)
def test_pycocotools_reads_the_same_masks(label_map):
    entry = json.loads(pack_frame(0, "0", label_map, {}).line())
    for object_id, found in entry["objects"].items():
        encoded = {"size": entry["size"], "counts": found["counts"].encode()}
        np.testing.assert_array_equal(
            pycocotools.mask.decode(encoded), (label_map == int(object_id)).astype(np.uint8)
        )
        assert pycocotools.mask.area(encoded) == found["area"]


@pytest.mark.parametrize("value", [-1, LARGEST_ID + 1])
def test_ids_that_cannot_be_stored(value):
    with pytest.raises(DataError, match=f"got {value}"):
        packed(label_map=np.full((2, 2), value, np.int64))


@pytest.mark.parametrize("name", ["masks.jsonl", "masks.jsonl.gz"])
def test_of_two_lines_the_later_counts_and_removed_frames_are_gone(name, tmp_path):
    path = in_a_file(
        tmp_path / name,
        packed(2),
        packed(0),
        packed(1),
        packed(0, LABEL_MAP[::-1]),
        RemovedFrame(1),
        RemovedFrame(7),
    )
    with closing(open_packed_masks(path)) as masks:
        assert list(masks.names) == ["00000", "00002"]
        np.testing.assert_array_equal(masks.read("00002"), LABEL_MAP)
        np.testing.assert_array_equal(masks.read("00000"), LABEL_MAP[::-1])  # back in the file
        with pytest.raises(MissingFileError, match="no frame 00001"):
            masks.read("00001")


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), after=st.booleans())
def test_a_line_that_was_cut_off_is_skipped(cut, after, tmp_path_factory):
    whole = packed(0).line() + packed(1, np.ones((9, 9), np.int32)).line()
    content = whole[:cut] + (b"\n" + packed(5).line() if after else b"")
    masks = RleFile(io.BytesIO(content), "masks.jsonl")
    ends = [len(packed(0).line()) - 1, len(whole) - 1]  # without the line break it is whole too
    assert list(masks.frames) == [i for i in (0, 1) if cut >= ends[i]] + ([5] if after else [])
    for frame in masks.frames:
        masks.read_frame(frame)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.binary(max_size=6)), max_size=12)
)
def test_packing_and_unpacking_keep_what_counts(steps, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    expected: dict[int, np.ndarray] = {}
    lines = []
    for number, (frame, is_removed, dirt) in enumerate(steps):
        label_map = np.full((2, 3), number + 1, np.int32)
        lines += [(RemovedFrame(frame) if is_removed else packed(frame, label_map)).line()]
        lines += [dirt, b"\n"]
        expected.pop(frame, None)
        if not is_removed:
            expected[frame] = label_map
    source = in_a_file(folder / "masks.jsonl", *lines)
    with closing(RleFile(source.open("rb"), "source")) as masks:
        pack_rle(masks, folder / "masks.jsonl.gz")
        pack_rle(masks, folder / "again.gz")
    assert (folder / "again.gz").read_bytes() == (folder / "masks.jsonl.gz").read_bytes()
    unpack_rle(folder / "masks.jsonl.gz", folder / "open.jsonl")
    for name in ("masks.jsonl.gz", "open.jsonl"):
        with closing(open_packed_masks(folder / name)) as masks:
            assert list(masks.names) == [f"{frame:05d}" for frame in sorted(expected)]
            for frame, label_map in expected.items():
                np.testing.assert_array_equal(masks.read(f"{frame:05d}"), label_map)


def test_frames_that_are_not_asked_for_are_left_out(tmp_path):
    path = in_a_file(tmp_path / "m", packed(0), packed(1), packed(0, name="renamed"), packed(2))
    with closing(open_packed_masks(path, names=["00000", "00002"])) as masks:
        assert list(masks.names) == ["00002"]


def test_another_size_than_expected_is_an_error(tmp_path, monkeypatch):
    path = in_a_file(tmp_path / "masks.jsonl", packed(0))
    monkeypatch.setattr(PackedFrame, "label_map", lambda _: pytest.fail("it was decoded"))
    with (
        closing(open_packed_masks(path)) as masks,
        pytest.raises(DataError, match=r"masks.jsonl, frame 0 is 2×3, but the video is 4×4"),
    ):
        masks.read("00000", (4, 4))


GOOD = json.loads(packed(0).line())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frame": -1}, "frame must be an index"),
        ({"frame": True}, "frame must be an index"),
        ({"frame": 2**50}, "frame must be an index"),
        ({"frame": "0"}, "frame must be an index"),
        ({"name": ""}, "name of frame 0 must have"),
        ({"name": None}, "name of frame 0 must have"),
        ({"name": "x" * 300}, "name of frame 0 must have"),
        ({"size": [2, 0]}, "size of a mask must be"),
        ({"size": [10**9, 10**9]}, "size of a mask must be"),
        ({"size": [60_000, 60_000]}, "may have at most"),
        ({"objects": {"0": {}}}, "object ids must be"),
        ({"objects": {"01": {}, "99999999": {}}}, "damaged|object ids must be"),
        ({"objects": {"-1": {}}}, "object ids must be"),
        ({"objects": {"²": {}}}, "object ids must be"),
        ({"objects": {"1": {"counts": [6], "area": 0, "confidence": None}}}, "as a string"),
        ({"objects": {"1": {"counts": "6", "area": 0.0, "confidence": None}}}, "and an area"),
        ({"objects": {"1": {"counts": "6", "area": -1, "confidence": None}}}, "and an area"),
        ({"objects": {"1": {"counts": "6", "area": 0, "confidence": "1"}}}, "must be a number"),
        (
            {"objects": {"1": {"counts": "6", "area": 0, "confidence": 1e999}}},
            "is not a JSON number",
        ),
        ({"objects": {"1": {"counts": "6", "area": 0}}}, "damaged"),
        ({"objects": []}, "damaged"),
        ({"objects": None}, "damaged"),
    ],
)
def test_malformed_lines_are_refused(changes, words, tmp_path):
    line = json.dumps(GOOD | changes).encode()
    with pytest.raises(DataError, match=words):
        parse_line(line)
    with pytest.raises(DataError, match="is not a file of masks"):
        open_packed_masks(in_a_file(tmp_path / "masks.jsonl", line))


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({1: PackedObject("111000", 3, None), 2: PackedObject("6", 1, None)}, "object 2 are dama"),
        ({1: PackedObject("111000", 2, None)}, "object 1 are damaged"),
        ({1: PackedObject("99", 9, None)}, "object 1 are damaged"),
        ({1: PackedObject("o" * 20, 9, None)}, "characters that COCO does not use"),
        ({1: PackedObject("6", 0, None), 2: PackedObject("o" * 10**6, 9, None)}, "object 2 are"),
        ({1: PackedObject("06", 6, None), 2: PackedObject("51", 1, None)}, "the same pixel"),
    ],
)
def test_damaged_run_lengths_are_found(objects, words):
    line = PackedFrame(0, "0", (2, 3), objects).line()
    with pytest.raises(DataError, match=words):
        parse_line(line).label_map()


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_change_of_a_line_gives_a_frame_or_a_data_error(data):
    line = bytearray(packed(3, np.tile(LABEL_MAP, (5, 4))).line())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(line) - 1))
        line[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        line = line or bytearray(b"0")
    try:
        frame = parse_line(bytes(line))
        label_map = frame.label_map() if isinstance(frame, PackedFrame) else None
    except DataError:
        return
    if label_map is not None:
        assert label_map.shape == frame.size
        assert set(np.unique(label_map)) <= {0, *frame.objects}


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=200), start=st.sampled_from([b"", b"PK\3\4", b"\x1f\x8b\x08\0"]))
def test_any_content_opens_or_is_a_data_error(content, start):
    try:
        masks = open_packed_masks(start + content, "upload")
    except DataError as error:
        assert "upload" in str(error)
        return
    for name in masks.names:
        masks.read(name)


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_archive_is_a_data_error(place, byte, cut, tmp_path_factory):
    path = in_a_file(tmp_path_factory.mktemp("m") / "masks.jsonl.gz", packed(0), packed(1))
    content = bytearray(path.read_bytes())
    place %= len(content)
    content[place] = byte
    if cut:
        del content[place:]
    try:
        masks = open_packed_masks(bytes(content), "upload")
        found = [masks.read(name) for name in masks.names]
    except DataError:
        return
    for label_map in found:  # the header of gzip has bytes that nothing depends on
        np.testing.assert_array_equal(label_map, LABEL_MAP)


def deep(opening: bytes) -> bytes:
    return b'{"frame": 0, "x": ' + opening * 10**6


@pytest.mark.parametrize(
    "line",
    [
        b'{"frame": ' + b"9" * 10**6 + b"}",
        deep(b"["),
        deep(b'{"":'),
        b"[" + b"{}," * (MOST_FIELDS + 1) + b"{}]",
        b"[" + b"0," * (MOST_FIELDS + 1) + b"0]",
        b'"' + b"x" * (LARGEST_LINE + 10) + b'"',
        json.dumps(GOOD | {"size": [11_000, 11_000]}).encode(),
    ],
    ids=["digits", "arrays", "objects", "dicts", "numbers", "long", "large picture"],
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_hostile_lines_take_little_memory(line, is_packed, tmp_path):
    path = in_a_file(tmp_path / ("m.gz" if is_packed else "m"), line)
    tracemalloc.start()
    try:
        with pytest.raises(DataError), closing(open_packed_masks(path)) as masks:
            masks.read("00000", (2, 3))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * LARGEST_LINE


def test_a_bomb_is_read_in_pieces(tmp_path):
    with gzip.open(tmp_path / "m.gz", "wb", compresslevel=1) as file:
        for _ in range(128):  # 256 MiB in all
            file.write(bytes(2**21) + b"\n")
    tracemalloc.start()
    try:
        with pytest.raises(DataError), closing(open_packed_masks(tmp_path / "m.gz")):
            pass
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("limit", ["LARGEST_ARCHIVE", "MOST_LINES"])
def test_a_file_without_end_is_refused(limit, tmp_path, monkeypatch):
    monkeypatch.setattr(f"maskcast.io.packed_masks.{limit}", 1000)
    path = in_a_file(tmp_path / "m.gz", *[b"\n"] * 3000)
    with pytest.raises(DataError, match="was rejected"):
        open_packed_masks(path)


def test_more_frames_than_any_video_has_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("maskcast.io.packed_masks.MOST_FRAMES", 3)
    path = in_a_file(tmp_path / "m", *(packed(frame) for frame in range(4)))
    with pytest.raises(DataError, match="more than 3 frames"):
        open_packed_masks(path)


def test_a_frame_that_no_reader_would_take_is_not_written(monkeypatch):
    monkeypatch.setattr("maskcast.io.mask_lines.LARGEST_LINE", 100)
    with pytest.raises(DataError, match="frame 0 are too fragmented"):
        packed(0, np.arange(4, dtype=np.int32).reshape(2, 2)).line()


def test_a_zip_of_pngs(tmp_path):
    path = tmp_path / "masks.zip"
    frames = [(f"{i:05d}", encode_label_map(LABEL_MAP + i)) for i in range(3)]
    write_mask_zip(path, frames)
    first = path.read_bytes()
    write_mask_zip(path, iter(frames))
    assert path.read_bytes() == first
    with zipfile.ZipFile(path) as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
    for source in (path, first):
        with closing(open_packed_masks(source, "masks.zip", names=["00001", "00009"])) as masks:
            assert list(masks.names) == ["00001"]
            np.testing.assert_array_equal(masks.read("00001", (2, 3)), LABEL_MAP + 1)
            with pytest.raises(DataError, match=r"masks.zip:00001.png is 2×3, but"):
                masks.read("00001", (3, 2))


@pytest.mark.parametrize("name", ["../outside", "a/b", "", ".hidden", "a\nb", "a b:c", "x" * 300])
def test_no_name_leads_out_of_the_zip(name, tmp_path):
    with pytest.raises(DataError, match="name"):
        write_mask_zip(tmp_path / "masks.zip", [(name, b"")])
    assert not list(tmp_path.iterdir())


def test_a_hostile_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "masks.zip", "w") as archive:
        archive.writestr("../00000.png", b"")
    with pytest.raises(DataError, match="points outside"):
        open_packed_masks(tmp_path / "masks.zip")


def test_descriptions(tmp_path):
    empty = np.zeros((2, 3), np.int32)
    rle = in_a_file(tmp_path / "masks.jsonl.gz", packed(0), packed(1, empty))
    assert describe_packed_masks(rle) == [
        "00000: RLE, 3×2, ids 1 (3 pixels), 3 (1 pixels)",
        "00001: RLE, 3×2, no objects",
    ]
    write_mask_zip(tmp_path / "masks.zip", [("a", encode_label_map(np.minimum(LABEL_MAP, 1)))])
    assert describe_packed_masks(tmp_path / "masks.zip") == ["a: PNG, 3×2, id 1 (4 pixels)"]


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingFileError, match="does not exist"):
        open_packed_masks(tmp_path / "masks.zip")
