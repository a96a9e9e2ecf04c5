"""The same batch on a real S3 interface: a moto server on loopback. Ended by its id."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest

from batch.pretended import queued
from batch.small_batch import Engines, run_small, write_manifest
from batch.small_store import Bucket, run_in_store, upload_clips
from batch.test_results import work_in
from fixtures.batch_stand_in import make_source
from maskcast.batch.remote_results import commit_to_store
from maskcast.batch.store import Store, signature
from maskcast.cli import batch
from maskcast.cli.main import main
from maskcast.core.errors import OutputError, RunConflictError, TransientError

pytestmark = pytest.mark.slow

LONGEST = 300.0
"""Seconds in which the server starts, on a busy machine."""
SECRET = "wJalrXUtnFEMI"


class Server:
    """A moto server."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + LONGEST
        while True:
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            try:
                urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5).close()
                return
            except OSError:
                time.sleep(0.2)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    for package in ("moto", "flask", "s3fs"):
        pytest.importorskip(package)
    server = Server()
    before = dict(os.environ)
    os.environ |= {
        **{"AWS_ENDPOINT_URL": server.url, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7"},
        **{"AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"},
    }
    yield server
    server.end()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def bucket(server, request) -> Bucket:
    name = request.node.name.replace("_", "-")[5:45]
    bucket = Bucket(f"s3://{name}/top")
    bucket.files.mkdir(name)
    return bucket


def test_a_batch_in_a_bucket_equals_one_on_the_disk(bucket, tmp_path):
    rows, engines = upload_clips(bucket, tmp_path / "clips"), Engines()
    assert run_in_store(bucket, rows, tmp_path / "one", engines).totals.finished == 2
    run_small(write_manifest(tmp_path / "clips", *rows), tmp_path / "out", settings={"form": "rle"})
    for video in "ab":
        ours = bucket.read(f"out/videos/{video}/masks.jsonl.gz")
        assert ours == (tmp_path / "out" / "videos" / video / "masks.jsonl.gz").read_bytes()
    result = run_in_store(bucket, rows, tmp_path / "two", engines)
    assert engines.latest_ids == []
    assert (result.totals.finished, result.totals.changed) == (2, set())
    written = [bucket.read(f"out/{name}") for name in bucket.names("out")]
    written += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [content for content in written if SECRET.encode() in content]


def test_of_two_writers_at_the_same_time_one_succeeds(bucket, tmp_path):
    store, outcomes = Store(bucket.url), []
    together = threading.Barrier(4)

    def create(number: int) -> None:
        together.wait()
        try:
            store.create("card", str(number).encode())
            outcomes.append(number)
        except RunConflictError:
            outcomes.append(None)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = (number for number in outcomes if number is not None)
    assert store.read("card") == str(winner).encode()
    work = queued("a").work
    assert commit_to_store(work_in(tmp_path / "one"), bucket.url, work)
    assert not commit_to_store(work_in(tmp_path / "two", mask=b"late"), bucket.url, work)
    assert bucket.read("videos/a/00000.png") == b"mask"


def test_the_command_with_a_manifest_in_a_bucket(bucket, tmp_path, monkeypatch, capsys):
    rows = upload_clips(bucket, tmp_path / "clips", "a")
    bucket.write("videos.jsonl", (json.dumps(rows[0]) + "\n").encode())
    engines = Engines()
    monkeypatch.setattr(batch, "_make_source", make_source)
    monkeypatch.setattr("maskcast.batch.batch_run.ProcessEngine", engines)
    manifest, output = f"{bucket.url}/videos.jsonl", f"{bucket.url}/out"
    call = ["batch", "run", manifest, "-o", output, "--jobs", "1", "--threads", "1"]
    assert main([*call, "--scratch", str(tmp_path / "s")]) == 0, capsys.readouterr()
    assert f"{output}/videos: 1 finished" in capsys.readouterr().out
    assert main(["batch", "check", manifest, "--read"]) == 0
    assert main(["batch", "status", output, "--verify"]) == 0
    out = capsys.readouterr().out
    assert "1 row, 6 frames, no errors" in out
    assert "finished by their run cards" in out
    assert main(["batch", "collect", output, "-o", str(tmp_path / "masks.tar")]) == 0
    assert (tmp_path / "masks.tar").is_file()


def test_a_server_that_is_gone_is_a_fault_that_may_pass(bucket, server, monkeypatch, tmp_path):
    bucket.write("a.mp4", b"video")
    assert len(signature(bucket.url.joined("a.mp4"))) == 32
    gone = "http://127.0.0.1:1"  # nobody listens there
    monkeypatch.setenv("AWS_ENDPOINT_URL", gone)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    type(bucket.files).clear_instance_cache()
    store = Store(bucket.url)
    with pytest.raises(TransientError, match="cannot read"):
        store.read("a.mp4")
    with pytest.raises(OutputError, match="cannot write") as caught:
        store.create("b", b"")
    assert SECRET not in str(caught.value)
    type(bucket.files).clear_instance_cache()
