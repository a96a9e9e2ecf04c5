"""Batches in an object store, here one in memory: test_s3.py does the same with a server."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from batch.pretended import queued
from batch.small_batch import COUNT, Engines, run_small, write_manifest, write_video
from batch.small_store import Bucket, run_in_store, upload_clips
from batch.test_results import work_in
from maskcast.batch import addresses, journal, remote_batch
from maskcast.batch.addresses import Url
from maskcast.batch.remote_batch import LEASE_LASTS, RemoteBatch
from maskcast.batch.remote_copy import local_batch
from maskcast.batch.remote_results import commit_to_store, finished_in_store
from maskcast.batch.results import MadeFrom
from maskcast.batch.store import Store, fetch, signature
from maskcast.batch.totals import read_totals
from maskcast.batch.waiting import Choice
from maskcast.core.errors import (
    DataError,
    MissingFileError,
    OutputError,
    RunConflictError,
    TransientError,
)

SECRET = "X-Amz-Signature=cafe"


@pytest.fixture
def bucket(monkeypatch, request) -> Bucket:
    """A folder of a store in memory."""
    monkeypatch.setattr(addresses, "PROTOCOLS", frozenset(("memory",)))
    bucket = Bucket(f"memory://bucket-{request.node.name[:30]}")
    yield bucket
    bucket.files.store.clear()


def test_results_in_a_store_equal_those_on_the_disk(bucket, tmp_path):
    rows = upload_clips(bucket, tmp_path / "clips")
    rows[1]["id"] = "deep/er/b"
    result = run_in_store(bucket, rows, tmp_path / "scratch")
    assert (result.ending.exit_code, result.totals.finished) == (0, 2)
    local = write_manifest(tmp_path / "clips", rows[0], rows[1])
    run_small(local, tmp_path / "out", settings={"form": "rle"})
    for video in ("a", "deep/er/b"):
        names = bucket.names(f"out/videos/{video}")
        assert names == ["frames.jsonl", "job.json", "masks.jsonl.gz", "run.json"]
        ours = bucket.read(f"out/videos/{video}/masks.jsonl.gz")
        assert ours == (tmp_path / "out" / "videos" / video / "masks.jsonl.gz").read_bytes()
    names = bucket.names("out")
    assert {"batch.json", "results.csv", "report.html", "failures.jsonl"} <= set(names)
    assert not [name for name in names if name.startswith(("resume", "shards"))]
    assert [p.name for p in (tmp_path / "scratch").iterdir()] == [".batch"]  # nothing is left


def test_the_same_call_again_does_nothing_on_any_machine(bucket, tmp_path):
    rows, engines = upload_clips(bucket, tmp_path / "clips"), Engines()
    run_in_store(bucket, rows, tmp_path / "one", engines)
    assert engines.latest_ids == ["a", "b"]
    result = run_in_store(bucket, rows, tmp_path / "two", engines)
    assert engines.latest_ids == []
    assert (result.totals.finished, result.totals.changed) == (2, set())
    bucket.remove("out/videos/a/run.json")
    run_in_store(bucket, rows, tmp_path / "two", engines)
    assert engines.latest_ids == ["a"]


def test_a_changed_object_is_reported_and_redone_only_if_asked(bucket, tmp_path):
    rows, engines = upload_clips(bucket, tmp_path / "clips"), Engines()
    run_in_store(bucket, rows, tmp_path / "s", engines)
    write_video(tmp_path / "clips", "a", seed=7, count=COUNT - 1)
    bucket.remove("a")
    bucket.upload(tmp_path / "clips")
    result = run_in_store(bucket, rows, tmp_path / "s", engines)
    assert engines.latest_ids == []
    assert "a" in result.totals.changed
    run_in_store(bucket, rows, tmp_path / "s", engines, choice=Choice(redo_changed=True))
    assert "a" in engines.latest_ids


def test_an_interrupted_video_goes_on_on_another_machine(bucket, tmp_path):
    rows, engines = upload_clips(bucket, tmp_path / "clips", "a"), Engines()

    def stopping(setup):
        engine = engines(setup)
        give = engine.give

        def give_and_stop(worker, work):
            engine.stop.set()
            give(worker, replace(work, replaces=False))
            raise KeyboardInterrupt  # this machine is gone

        engine.give = give_and_stop
        return engine

    with pytest.raises(KeyboardInterrupt):
        run_in_store(bucket, rows, tmp_path / "one", stopping)
    assert bucket.names("out/resume") == ["a.tar"]
    result = run_in_store(bucket, rows, tmp_path / "two", engines)
    assert result.totals.finished == 1
    card = json.loads(bucket.read("out/videos/a/run.json"))
    assert card["resumed_from"] == 1
    assert not [name for name in bucket.names("out") if name.startswith("resume")]


def test_a_missing_object_is_named_and_others_finish(bucket, tmp_path):
    rows = upload_clips(bucket, tmp_path / "clips", "a")
    rows.insert(0, {"id": "gone", "video": "gone", "masks": "a.png"})
    result = run_in_store(bucket, rows, tmp_path / "s")
    assert (result.totals.finished, result.totals.failed["gone"].kind) == (1, "data")
    assert f"{bucket.url}/gone does not exist" in result.totals.failed["gone"].sentence
    (row,) = map(json.loads, bucket.read("out/failures.jsonl").splitlines())
    assert row["video"] == f"{bucket.url}/gone"


def test_a_store_that_fails_is_tried_again(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr("maskcast.batch.policy.BatchPolicy.delay", lambda *_: 0.01)
    rows, engines = upload_clips(bucket, tmp_path / "clips", "a"), Engines()
    failures = iter(range(1))
    copy = bucket.files.get_file

    def failing(*arguments, **how):
        if next(failures, None) is not None:
            raise ConnectionError("reset by peer")
        return copy(*arguments, **how)

    monkeypatch.setattr(type(bucket.files), "get_file", lambda self, *a, **h: failing(*a, **h))
    monkeypatch.setattr(
        type(bucket.files),
        "get",
        lambda self, a, b: [failing(*pair) for pair in zip(a, b, strict=True)],
    )
    result = run_in_store(bucket, rows, tmp_path / "s", engines)
    assert engines.latest_ids == ["a", "a"]
    assert (result.totals.finished, result.totals.kinds) == (1, {"transient": 1})


def test_keys_are_nowhere_in_what_is_written(bucket, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(addresses, "ON_REQUEST", frozenset(("memory",)))
    rows = upload_clips(bucket, tmp_path / "clips", "a")
    rows[0]["video"] = f"{bucket.url}/a?{SECRET}"
    rows[0]["masks"] = f"{bucket.url}/a.png?{SECRET}"
    rows.append({**rows[0], "id": "gone", "video": f"{bucket.url}/gone.mp4?{SECRET}"})
    run_in_store(bucket, rows, tmp_path / "s")
    written = {name: bucket.read(f"out/{name}") for name in bucket.names("out")}
    written |= {str(p): p.read_bytes() for p in (tmp_path / "s").rglob("*") if p.is_file()}
    assert len(written) > 5
    assert not [name for name, content in written.items() if b"cafe" in content]
    assert "cafe" not in caplog.text


def test_the_journal_is_uploaded_in_parts(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "PART_EVENTS", 3)
    rows = upload_clips(bucket, tmp_path / "clips")
    run_in_store(bucket, rows, tmp_path / "s")
    parts = bucket.names("out/journal")
    assert len(parts) > 2
    assert [part.rpartition(".0")[2] for part in parts][:2] == ["00000.jsonl", "00001.jsonl"]
    with local_batch(bucket.url.joined("out"), with_results=True) as copy:
        totals = read_totals(copy)
        assert (totals.finished, totals.left) == (2, 0)
        assert sorted(p.name for p in (copy / "videos").iterdir()) == ["a", "b"]


def test_a_journal_of_a_killed_dispatcher_is_uploaded_by_the_next(bucket, tmp_path):
    rows = upload_clips(bucket, tmp_path / "clips", "a")
    run_in_store(bucket, rows, tmp_path / "s")
    (name,) = bucket.names("out/journal")
    content = bucket.read(f"out/journal/{name}")
    bucket.remove(f"out/journal/{name}")
    run_in_store(bucket, rows, tmp_path / "s")
    assert bucket.read(f"out/journal/{name}") == content


def test_a_lease_is_held_renewed_and_ends(bucket, tmp_path):
    now = [1000.0]
    one, two = (RemoteBatch(bucket.url, tmp_path, clock=lambda: now[0]) for _ in range(2))
    with one.alone((0, 1)):
        with pytest.raises(RunConflictError, match="another process works on this shard"):
            two.alone((0, 1)).__enter__()
        with two.alone((1, 2)):
            pass
        now[0] += LEASE_LASTS - 1
        one.renew()
        now[0] += LEASE_LASTS - 1
        with pytest.raises(RunConflictError, match="another process works on this shard"):
            two.alone((0, 1)).__enter__()
        now[0] += 2
        with (
            two.alone((0, 1)),
            pytest.raises(RunConflictError, match="has taken over this shard"),
        ):
            one.renew()
    assert bucket.names() == []


def test_of_two_writers_one_succeeds(bucket, tmp_path):
    def ours(request="r", **changes):
        work = replace(queued("a").work, request=request, **changes)
        return work, MadeFrom(request, work.input)

    work, made = ours()
    assert commit_to_store(work_in(tmp_path / "one"), bucket.url, work)
    assert not commit_to_store(work_in(tmp_path / "two", mask=b"late"), bucket.url, work)
    assert bucket.read("videos/a/00000.png") == b"mask"
    assert finished_in_store(bucket.url, [work.folder, Path("none")]) == [made, None]
    other, made = ours("other")
    with pytest.raises(RunConflictError, match="finished results of another request"):
        commit_to_store(work_in(tmp_path / "three"), bucket.url, other)
    other, made = ours("other", replaces=True)
    bucket.write("videos/a/00009.png", b"old")
    assert commit_to_store(work_in(tmp_path / "four", mask=b"new"), bucket.url, other)
    assert bucket.read("videos/a/00000.png") == b"new"
    assert "00009.png" not in bucket.names("videos/a")
    assert finished_in_store(bucket.url, [work.folder]) == [made]


def test_a_card_that_was_created_in_between_is_not_replaced(bucket, tmp_path, monkeypatch):
    create = Store.create

    def late(store, name, content):
        create(store, name, b'{"status": "finished"}')
        create(store, name, content)

    monkeypatch.setattr(Store, "create", late)
    work = queued("a").work
    assert not commit_to_store(work_in(tmp_path / "w"), bucket.url, work)
    assert bucket.read("videos/a/run.json") == b'{"status": "finished"}'


def test_copies_are_complete_limited_and_used_again(bucket, tmp_path):
    write_video(tmp_path / "clips", "a")
    bucket.upload(tmp_path / "clips")
    copy = fetch(bucket.url.joined("a"), tmp_path / "in", largest=1e9)
    assert [path.name for path in sorted(copy.iterdir())] == [f"{i:05d}.png" for i in range(COUNT)]
    assert fetch(bucket.url.joined("a.png"), tmp_path / "in", largest=1e9).is_file()
    before = signature(bucket.url.joined("a"))
    bucket.remove("a/00003.png")
    assert signature(bucket.url.joined("a")) != before
    assert fetch(bucket.url.joined("a"), tmp_path / "in", largest=1e9) == copy
    assert len(list(copy.iterdir())) == COUNT
    with pytest.raises(DataError, match="more than the 1e-08 GB allowed"):
        fetch(bucket.url.joined("a"), tmp_path / "other", largest=10)
    with pytest.raises(MissingFileError, match="none does not exist"):
        fetch(bucket.url.joined("none"), tmp_path / "other", largest=1e9)


def test_errors_of_a_store_are_ours_and_show_no_key(bucket, monkeypatch):
    def failing(*_, **__):
        raise KeyError(f"403 for https://u:p@host/x?{SECRET}")  # botocore's errors are no OSError

    store = Store(bucket.url)
    monkeypatch.setattr(type(bucket.files), "cat", failing)
    monkeypatch.setattr(type(bucket.files), "pipe_file", failing)
    for kind, call in (
        (TransientError, lambda: store.read("x")),
        (OutputError, lambda: store.write("x", b"")),
    ):
        with pytest.raises(kind) as caught:
            call()
        assert "cafe" not in str(caught.value)
        assert "u:p" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_a_store_without_conditional_writes_says_so_once(bucket, monkeypatch, caplog):
    pipe = type(bucket.files).pipe_file

    def plain(self, path, value, **how):
        if "mode" in how:
            raise NotImplementedError
        pipe(self, path, value)

    monkeypatch.setattr(type(bucket.files), "pipe_file", plain)
    store = Store(bucket.url)
    store.create("x", b"1")
    store.create("y", b"2")
    assert (bucket.read("x"), bucket.read("y")) == (b"1", b"2")
    assert caplog.text.count("cannot create files exclusively") == 1


def test_summaries_wait_for_the_journal(bucket, tmp_path, monkeypatch):
    remote = RemoteBatch(bucket.url, tmp_path)
    part = tmp_path / "part.jsonl"
    part.write_text("{}")
    monkeypatch.setattr(Store, "upload", lambda *_: (_ for _ in ()).throw(OutputError("down")))
    remote.add_part(part)  # no error: the store may work again
    monkeypatch.undo()
    remote.upload_parts()
    assert bucket.read("journal/part.jsonl") == b"{}"
    assert remote_batch.LEASE_EVERY * 2 < LEASE_LASTS


def test_a_missing_package_is_named(monkeypatch):
    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(Exception, match=r's3 need s3fs: pip install "\.\[remote\]"'):
        Store(Url("s3://b/out"))
