"""Manifests: two formats, one strict reader, every fault named."""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import string
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskcast.batch.addresses import Url
from maskcast.batch.job import ModelChoice, VideoSettings, checked_id
from maskcast.batch.manifest import Manifest, shard_of
from maskcast.batch.manifest_file import manifest_file
from maskcast.batch.rows import RowRules, parse_row, plain_row
from maskcast.core.errors import DataError, MissingFileError, UsageError


def write_rows(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def open_rows(path: Path, **how: object) -> Manifest:
    rules = {name: how.pop(name) for name in ("defaults", "is_root", "model_fault") if name in how}
    return Manifest(path, RowRules(folder=path.parent, **rules), **how)


def row(job_id: str = "a", **entries: object) -> dict[str, object]:
    return {"id": job_id, "video": f"{job_id}.mp4", "masks": f"{job_id}.png", **entries}


def faults_of(path: Path, **how: object) -> list[str]:
    with pytest.raises(DataError) as caught:
        open_rows(path, **how)
    return list(caught.value.details) or [caught.value.summary]


def test_json_and_csv_give_equal_jobs(tmp_path):
    rows = write_rows(
        tmp_path / "v.jsonl",
        {
            **{"id": "s/1", "video": "in/1.mp4", "masks": ["m/1.png", "m/2.png"], "start": 3},
            **{"end": "1:02", "direction": "both", "on_bad_frame": "hold", "mask_threshold": 128},
            **{"weights": "lwl-small", "options": {"update_steps": 2}, "priority": 5},
            **{"seconds": 2.5, "sha256": "AB" * 32, "time_limit": 60, "x_animal": "m17"},
        },
        {"video": "2.mp4", "boxes": [{"frame": 3, "id": 2, "box": [1, 2.5, 3, 4]}]},
    )
    table = tmp_path / "v.csv"
    table.write_text(
        "id,video,masks,boxes,start,end,direction,on_bad_frame,mask_threshold,weights,options,"
        "priority,seconds,sha256,time_limit,x_animal\n"
        f"s/1,in/1.mp4,m/1.png; m/2.png,,3,1:02,both,hold,128,lwl-small,update_steps=2,5,2.5,"
        f"{'AB' * 32},60,m17\n\n"
        ',2.mp4,,"3:2:1,2.5,3,4",,,,,,,,,,,,\n'
    )
    jobs = list(open_rows(rows).jobs())
    assert jobs == list(open_rows(table).jobs())
    first, second = jobs
    assert first.masks == (tmp_path / "m/1.png", tmp_path / "m/2.png")
    assert first.settings.model == ModelChoice(weights="lwl-small", options={"update_steps": "2"})
    assert (first.settings.start, first.settings.end) == ("3", "1:02")
    assert first.sha256 == "ab" * 32
    assert first.extra == {"x_animal": "m17"}
    assert second.id == "2"
    assert second.boxes == ("3:2:1,2.5,3,4",)


def test_rows_take_the_defaults_unless_they_have_their_own(tmp_path):
    defaults = VideoSettings(direction="both", model=ModelChoice(weights="w", options={"a": "1"}))
    rows = write_rows(
        tmp_path / "v.jsonl",
        row("a"),
        row("b", weights="other"),
        row("c", options={"b": 2}, direction="forward"),
    )
    a, b, c = (job.settings for job in open_rows(rows, defaults=defaults).jobs())
    assert a == defaults
    assert b.model == ModelChoice(weights="other")  # options belong to the weights they came with
    assert c.model == ModelChoice(weights="w", options={"b": "2"})
    assert c.direction == "forward"


def test_the_order_is_priority_then_length_then_that_of_the_file(tmp_path):
    rows = write_rows(
        tmp_path / "v.jsonl",
        row("a"),
        row("b", seconds=5),
        row("c", seconds=50),
        row("d", priority=1),
        row("e"),
        row("f", priority=-1, seconds=99),
    )
    assert [job.id for job in open_rows(rows).jobs()] == ["d", "c", "b", "a", "e", "f"]
    assert [job.id for job in open_rows(rows, limit=2).jobs()] == ["d", "c"]


def test_shards_share_all_rows_without_overlap(tmp_path):
    ids = [f"v{i}" for i in range(60)]
    rows = write_rows(tmp_path / "v.jsonl", *(row(i) for i in ids))
    shards = [[job.id for job in open_rows(rows, shard=(index, 3)).jobs()] for index in range(3)]
    assert sorted(job_id for shard in shards for job_id in shard) == sorted(ids)
    assert all(len(shard) > 8 for shard in shards)
    assert shard_of("v1", 3) == shard_of("v1", 3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"video": None}, "line 1, video: missing"),
        ({"masks": None}, "line 1, masks: missing; give masks or boxes"),
        ({"masks": [1]}, "line 1, masks: must be a path or a list of paths"),
        ({"mask": "a.png"}, "line 1, mask: unknown field; did you mean masks?"),
        ({"id": "../a"}, "line 1, id: invalid name '..'"),
        ({"id": "a//b"}, "line 1, id: invalid name ''"),
        ({"id": "/a"}, "line 1, id: invalid name ''"),
        ({"id": ".hidden"}, "must not be empty or start with a dot"),
        ({"id": "a\nb"}, "control character"),
        ({"id": "x" * 2000}, "an id has 2000 characters"),
        ({"id": 7}, "line 1, id: must be text, got 7"),
        ({"boxes": "1,2,3,4"}, "line 1, boxes: must be a list"),
        ({"boxes": [{"box": [1, 2, 3]}]}, "line 1, boxes: a box must have the form"),
        ({"boxes": [{"frame": 1, "box": [1, 2, 3, 4]}]}, "line 1, boxes: a box must have the form"),
        ({"start": 9, "end": 4}, "line 1, end: must be after start 9, got 4"),
        ({"start": -1}, "line 1, start: must be a frame or a time"),
        ({"direction": "back"}, "line 1, direction: must be forward or both, got back"),
        ({"on_bad_frame": "skip"}, "line 1, on_bad_frame: must be stop or hold, got skip"),
        ({"mask_threshold": 300}, "mask_threshold: must be an integer in [1, 255], got 300"),
        ({"priority": 1.5}, "line 1, priority: must be an integer, got 1.5"),
        ({"seconds": "long"}, "line 1, seconds: must be a number, got long"),
        ({"sha256": "abc"}, "line 1, sha256: must be 64 hexadecimal digits"),
        ({"options": 3}, "line 1, options: must be an object of settings, got 3"),
        ({"weights": "none"}, "line 1, weights: no such weights"),
        ({"video": "https://h/a.mp4"}, "line 1, video: addresses of https are not accepted"),
        ({"masks": ["zip://m.png::s3://b/m.zip"]}, "line 1, masks: chained addresses"),
    ],
)
def test_every_fault_is_named_with_its_line_and_field(tmp_path, wrong, words):
    rows = write_rows(tmp_path / "v.jsonl", {**row(), **wrong})
    fault = faults_of(rows, model_fault=lambda weights, method: "no such weights")[0]
    assert words in fault


def test_all_faults_of_all_rows_are_listed_together(tmp_path):
    rows = write_rows(tmp_path / "v.jsonl", row(start=-1, priority="x"), row("b", sha256="1"))
    assert [fault.partition(":")[0] for fault in faults_of(rows)] == [
        *("line 1, start", "line 1, priority", "line 2, sha256"),
    ]
    many = write_rows(tmp_path / "many.jsonl", *({"id": str(i)} for i in range(150)))
    faults = faults_of(many)
    assert len(faults) == 101
    assert faults[-1] == "200 more"


def test_ids_that_are_equal_or_inside_one_another_are_rejected(tmp_path):
    rows = write_rows(tmp_path / "v.jsonl", row("a"), row("b"), row("A"))
    assert faults_of(rows) == [
        f"manifest {rows} has errors: line 3, id: the id of line 1 is the same (upper and lower "
        "case do not differ)"
    ]
    rows = write_rows(tmp_path / "v.jsonl", row("a/b/c"), row("a"), row("a/bc"))
    assert "line 2, id: a is also a folder of another id" in faults_of(rows)[0]


def test_paths_stay_inside_a_root_that_is_given(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to("/etc")
    for video in ("../a.mp4", "/etc/passwd", "link/passwd"):
        rows = write_rows(tmp_path / "in" / "v.jsonl", row(video=video))
        assert "is outside the root folder" in faults_of(rows, is_root=True)[0]
        assert len(open_rows(rows)) == 1


def test_addresses_are_accepted_and_stay_inside_a_root_in_a_store(tmp_path):
    rows = write_rows(
        tmp_path / "v.jsonl",
        {"video": "s3://b/in/c/1.mp4", "masks": ["m.png", "s3://b/in/1.png"]},
        {"video": "https://h/2.mp4?key=secret", "masks": "file:///m/2.png"},
    )
    rules = RowRules(folder=tmp_path, allowed=frozenset(["https"]))
    first, second = Manifest(rows, rules).jobs()
    assert (first.id, first.video) == ("b/in/c/1", Url("s3://b/in/c/1.mp4"))
    assert first.masks == (tmp_path / "m.png", Url("s3://b/in/1.png"))
    assert (second.id, second.video.text) == ("h/2", "https://h/2.mp4?key=secret")
    assert second.masks == (Path("/m/2.png"),)
    assert "secret" not in json.dumps(second.row())
    inside = RowRules(folder=Url("s3://b/in"), is_root=True)
    rows = write_rows(tmp_path / "v.jsonl", {"video": "c/1.mp4", "masks": "c/../1.png"})
    (job,) = Manifest(rows, inside).jobs()
    assert (job.id, job.video, job.masks) == (
        *("c/1", Url("s3://b/in/c/1.mp4")),
        (Url("s3://b/in/1.png"),),
    )
    for video in ("../a.mp4", "s3://b/inside/a.mp4", "s3://c/in/a.mp4", "/etc/passwd"):
        rows = write_rows(tmp_path / "v.jsonl", row(video=video))
        with pytest.raises(DataError, match="is outside the root folder"):
            Manifest(rows, inside)


def test_a_manifest_may_come_from_standard_input(tmp_path):
    content = json.dumps(row("a")).encode() + b"\n"
    with manifest_file(Path("-"), io.BytesIO(content).read) as file:
        assert (file.name, file.base) == ("standard input", Path())
        assert [job.id for job in open_rows(file.path).jobs()] == ["a"]
    assert not file.path.exists()
    with manifest_file(tmp_path / "v.csv", io.BytesIO().read) as file:
        assert (file.path, file.base) == (tmp_path / "v.csv", tmp_path)


@pytest.mark.slow  # only with the extra
def test_parquet_gives_the_same_jobs(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = importlib.import_module("pyarrow").Table.from_pylist
    rows = [
        {
            **row("a", priority=3, seconds=2.5, options={"update_steps": 2}, boxes=None),
            "masks": ["1", "2"],
        },
        {"id": "b", "video": "b.mp4", "boxes": [{"id": 2, "box": [1.0, 2.5, 3.0, 4.0]}]},
    ]
    parquet.write_table(table(rows), tmp_path / "v.parquet")
    with manifest_file(tmp_path / "v.parquet", io.BytesIO().read) as file:
        jobs = list(Manifest(file.path, RowRules(folder=file.base)).jobs())
    assert jobs == list(open_rows(write_rows(tmp_path / "v.jsonl", *rows)).jobs())
    (tmp_path / "v.parquet").write_bytes(b"PAR1")
    with (
        pytest.raises(DataError, match="cannot read"),
        manifest_file(tmp_path / "v.parquet", io.BytesIO().read),
    ):
        pass


def test_parquet_is_an_extra(tmp_path, monkeypatch):
    (tmp_path / "v.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with (
        pytest.raises(UsageError, match=r'pip install "\.\[parquet\]"'),
        manifest_file(tmp_path / "v.parquet", io.BytesIO().read),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("v.jsonl", b"", "has no rows"),
        ("v.csv", b"", "does not name a column video"),
        ("v.csv", b"id,masks\n", "does not name a column video"),
        ("v.csv", b"video,video\n", "names video twice"),
        ("v.csv", b"video\na,b\n", "line 2: 2 values, but the header names 1 fields"),
        ("v.csv", b'video,masks\n"a.mp4"b,c\n', "line 2: "),
        ("v.jsonl", b"[1]\n", "line 1: a row must be a JSON object"),
        ("v.jsonl", b'{"video": "a"\n', "line 1: invalid JSON"),
        ("v.jsonl", b'{"video": "a", "video": "b"}\n', "occurs twice"),
        ("v.jsonl", b'{"video": "\xff"}\n', "line 1: 'utf-8' codec"),
        ("v.jsonl", b'"' + b"a" * 2**20 + b'"\n', "line 1: the line has more than"),
        ("v.txt", b"a.mp4\n", "must be JSON lines (.jsonl), CSV (.csv) or Parquet, got .txt"),
    ],
)
def test_files_of_another_form_are_rejected(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    assert words in faults_of(path)[0]


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.csv does not exist"):
        open_rows(tmp_path / "none.csv")


def test_folders_and_looping_links_are_not_called_missing(tmp_path):
    with pytest.raises(DataError, match="is a folder; write a manifest of its videos first"):
        open_rows(tmp_path)
    (tmp_path / "loop.jsonl").symlink_to("loop.jsonl")
    with pytest.raises(DataError, match=r"cannot open manifest .*loop\.jsonl: Too many levels"):
        open_rows(tmp_path / "loop.jsonl")
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(DataError, match="is not a regular file"):
        open_rows(tmp_path / "pipe.jsonl")


def test_a_byte_order_mark_and_blank_lines_are_accepted(tmp_path):
    path = tmp_path / "v.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(row()).encode() + b"\n\n" + b" \n")
    assert [job.id for job in open_rows(path).jobs()] == ["a"]
    path = tmp_path / "v.csv"
    path.write_bytes(b"\xef\xbb\xbfvideo,masks\r\na.mp4,a.png\r\n")
    assert [job.id for job in open_rows(path).jobs()] == ["a"]


def test_a_manifest_that_changes_while_it_is_used_is_an_error(tmp_path):
    rows = write_rows(tmp_path / "v.jsonl", row("a"), row("b"))
    manifest = open_rows(rows)
    content = bytearray(rows.read_bytes())
    content[content.index(b'{"id": "b"')] = ord("[")
    rows.write_bytes(bytes(content))
    with pytest.raises(DataError, match="changed while the batch was reading it"):
        list(manifest.jobs())


def test_a_row_of_failures_is_a_row(tmp_path):
    before = open_rows(write_rows(tmp_path / "v.jsonl", row(priority=3, x_note="n"))).job(0)
    again = write_rows(tmp_path / "f.jsonl", {**before.row(), "_failure": {"class": "data"}})
    assert open_rows(again).job(0) == before


NAMES = st.text(st.sampled_from(string.ascii_letters + string.digits + "-_ äß☃'\";,"), min_size=1)


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=8, unique_by=str.casefold), st.booleans())
def test_any_names_survive_both_formats(tmp_path_factory, names, is_csv):
    names = [name.strip() or "x" for name in names]
    names = list({name.casefold(): name for name in names}.values())
    folder = tmp_path_factory.mktemp("manifest")
    if is_csv:
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(["id", "video", "boxes"])
        table.writerows([name, "v.mp4", "1:1,2,3,4"] for name in names)
        path = folder / "v.csv"
        path.write_bytes(text.getvalue().encode())
    else:
        path = write_rows(folder / "v.jsonl", *(row(name) for name in names))
    assert [job.id for job in open_rows(path).jobs()] == names


VALUES = st.one_of(
    *(st.text("a/.:\\ -é0\0", max_size=6), st.integers(), st.floats(allow_nan=False)),
    *(st.none(), st.booleans(), st.just("a.mp4"), st.just(2**60), st.lists(st.just("m.png"))),
)


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["priority", "seconds", "x_a", "start", "bad"]), VALUES),
    st.fixed_dictionaries({"id": VALUES, "video": VALUES, "masks": VALUES}),
)
def test_what_counts_as_a_plain_row_is_accepted_and_says_the_same(others, entries):
    rules = RowRules(folder=Path("/in"))
    plain = plain_row(entries | others, rules)
    if plain is not None:
        job = parse_row(entries | others, rules)
        assert (job.id, job.priority, job.seconds) == plain


def test_usual_rows_are_plain_and_settings_are_not():
    rules = RowRules(folder=Path("/in"))
    assert plain_row(row("s/1", x_a=[1]), rules) == ("s/1", 0, None)
    assert plain_row(row(priority=3, seconds=2.5), rules) == ("a", 3, 2.5)
    for entries in ({"start": 3}, {"id": "../a"}, {"video": "s3://b/a"}, {"priority": True}):
        assert plain_row(row() | entries, rules) is None
    assert plain_row(row(), RowRules(folder=Path("/in"), is_root=True)) is None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_an_id_never_leads_out_of_the_folder(text):
    try:
        parts = checked_id(text).split("/")
    except DataError:
        return
    path = Path("/out").joinpath(*parts)
    assert path.is_relative_to("/out")
    assert ".." not in path.parts
    assert len(path.parts) == len(parts) + 2


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["jsonl", "csv"]))
def test_any_bytes_are_read_or_rejected(tmp_path_factory, content, ending):
    path = tmp_path_factory.mktemp("bytes") / f"v.{ending}"
    path.write_bytes((b"video,masks\n" if ending == "csv" else b"") + content)
    try:
        list(open_rows(path).jobs())
    except DataError:
        return
