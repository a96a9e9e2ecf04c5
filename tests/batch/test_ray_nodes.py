"""A batch on a real Ray cluster of three nodes that loses nearly everything.

A dispatcher, a worker and a node are killed, another node leaves, and one video kills its workers:
the masks equal those of unbroken runs.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from batch.accidents import (
    LONGEST,
    NAMES,
    Dispatcher,
    assert_equal,
    hurry,
    unbroken_masks,
    write_slow_clips,
)
from batch.ray_nodes import ADDRESS, SECRETS, Nodes, running_nodes, wait_for_worker, wait_until_lost
from batch.small_batch import write_manifest
from maskcast.runs.card import read_card

pytestmark = pytest.mark.slow

FRAMES = 100
"""Frames of each video; they take a minute while everything happens, and nothing afterwards."""


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with running_nodes(3) as nodes:
        yield nodes


def test_a_cluster_survives_every_accident(nodes, tmp_path):
    rows = write_slow_clips(tmp_path, count=FRAMES, seconds=1)
    poison = {**rows[0], "id": "poison", "options": {"crash_at": "0"}}
    write_manifest(tmp_path, *rows, poison)
    options = ("--ray", ADDRESS, "--workers", "2", "--attempts", "2", "--save-seconds", "0.5")

    def start(folder: Path = tmp_path, **secrets: str) -> Dispatcher:
        environment = {**SECRETS, **secrets}
        return Dispatcher(folder, *options, prefix=nodes.prefix, environment=environment)

    write_slow_clips(tmp_path / "stranger", count=2)
    stranger = start(tmp_path / "stranger", RAY_AUTH_TOKEN="another one")
    killed = start()
    wait_for_worker(killed, nodes)
    workers = [psutil.Process(process) for process in killed.workers()]
    killed.process.kill()
    killed.process.wait()
    _, alive = psutil.wait_procs(workers, LONGEST)
    assert not alive
    assert stranger.end() == 2, stranger.output
    assert "cannot join the Ray cluster" in stranger.output

    run = start()
    worker = wait_for_worker(run, nodes)
    psutil.Process(worker.process).kill()
    wait_until_lost(run, worker)
    worker = wait_for_worker(run, nodes)
    nodes.raylet_of(worker.node).kill()
    assert "died" in wait_until_lost(run, worker)
    leaving = nodes.started[wait_for_worker(run, nodes).node]
    leaving.send_signal(signal.SIGTERM)
    run.wait_for("interrupted")
    hurry(tmp_path)
    assert run.end() == 4, run.output
    leaving.wait(LONGEST)
    assert_equal(tmp_path, unbroken_masks(tmp_path / "unbroken", count=FRAMES))

    failures = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").open()]
    assert [row["id"] for row in failures] == ["poison"]
    assert failures[0]["_failure"]["class"] == "crash"
    assert failures[0]["_failure"]["attempts"] == 2
    crashes = [
        e["id"] for e in run.events("failed") if e["kind"] == "crash" and e["id"] != "poison"
    ]
    assert len(crashes) <= 1  # the worker that was killed; the nodes cost no attempt
    assert max(read_card(tmp_path / "out" / "videos" / name).resumed_from for name in NAMES) > 0
