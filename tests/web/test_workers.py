"""Worker processes that die, hang or are told to leave take nothing else with them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

import pytest

from contract.coloured_video import true_mask
from maskcast.core.files import alone_in
from maskcast.web import jobs
from maskcast.web.messages import Done, WorkerError
from maskcast.web.worker import Worker

ONE = true_mask(1, 0).numpy()


@pytest.fixture(autouse=True)
def forgiven(server):
    """Deaths of other tests do not count."""
    server.session.model._deaths.clear()
    server.session.media._deaths.clear()
    server.slow_down(0)


def kill_model(server) -> None:
    os.kill(server.session.model.pid, signal.SIGKILL)


def test_a_job_whose_worker_is_killed_is_stopped_and_goes_on(server):
    _, run = server.open()
    server.paint(0, {1: ONE})
    server.track(until=1)
    server.slow_down(0.3)
    job = server.post("/api/jobs", {"what": "track", "direction": "forward"})["id"]
    server.until(lambda e: e["type"] == "job" and e["id"] == job and e["done"] >= 3)
    kill_model(server)
    ended = server.wait(job)
    assert ended["state"] == "stopped"
    assert "probably out of memory" in ended["note"]
    server.slow_down(0)
    assert server.track()["state"] == "done"
    assert json.loads((run / "run.json").read_text())["status"] == "finished"


def test_a_folder_that_another_program_works_in_cannot_be_opened(server):
    server.open()
    folder = server.new_clip()
    (folder / "run").mkdir()
    with alone_in(folder / "run"):
        weights = f"{folder}/colours.safetensors"
        tree = {"video": f"{folder.name}/video", "run": f"{folder.name}/run", "weights": weights}
        answer = server.ask("POST", "/api/project", json=tree)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (409, "RunConflictError")
    assert server.project() is None
    project, _ = server.open(folder)
    assert project["video"]["count"] == 12


def test_a_media_worker_that_is_killed_starts_again(server):
    project, _ = server.open()
    address = f"/api/frames/{project['key']}"
    assert server.ask("GET", f"{address}/3.jpg?w=640").status_code == 200
    os.kill(server.session.media.pid, signal.SIGKILL)
    server.until(lambda e: e["type"] == "worker" and e["state"] == "stopped")
    assert server.ask("GET", f"{address}/4.jpg?w=640").status_code == 200


def test_a_worker_that_dies_again_and_again_stays_away(server):
    project, _ = server.open()
    for _ in range(3):
        server.ask("GET", f"/api/frames/{project['key']}/3.jpg?w=1920&x={time.time()}")
        if server.session.media.pid is not None:
            number = server.number
            os.kill(server.session.media.pid, signal.SIGKILL)
            server.until(lambda e: e["type"] == "worker" and e["state"] == "stopped", after=number)
        path = server.session.media._first.cache
        os.system(f"rm -rf '{path}'")
    answer = server.ask("GET", f"/api/frames/{project['key']}/3.jpg")
    assert (answer.status_code, answer.json()["error"]["kind"]) == (503, "busy")


def test_the_model_worker_leaves_and_comes_back(server):
    _, run = server.open()
    server.paint(0, {1: ONE})
    number = server.number
    os.kill(server.session.model.pid, signal.SIGTERM)
    server.until(lambda e: e["type"] == "worker" and e["state"] == "idle", after=number)
    assert server.track(until=1)["state"] == "done"
    assert (run / "00001.png").is_file()


def test_another_application_and_another_program_are_kept_out(server):
    _, run = server.open()
    server.paint(0, {1: ONE})
    with alone_in(run):
        answer = server.ask("POST", "/api/jobs", json={"what": "track", "direction": "forward"})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (409, "RunConflictError")
    server.client.delete("/api/project")
    with alone_in(run / ".app"):
        answer = server.ask("POST", "/api/project", json={"run": f"{run.parent.name}/run"})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (409, "RunConflictError")


def test_work_of_another_program_is_noticed(server):
    _, run = server.open()
    server.paint(0, {1: ONE})
    server.track(until=3)
    with alone_in(run):
        card = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(card | {"status": "running"}))
        event = server.until(lambda e: e["type"] == "external")
        assert event["frames"] == 4
        assert server.project()["external"]["frames"] == 4
    number = server.number
    (run / "run.json").write_text(json.dumps(card))
    server.until(lambda e: e["type"] == "external" and e["frames"] is None, after=number)


def test_a_worker_that_hangs_is_killed():
    async def ask() -> None:
        states: list[str] = []
        worker = Worker(
            "hanging",
            "fixtures.hanging_worker",
            niceness=0,
            final=(Done,),
            changed=lambda state, why: states.append(state),
        )
        with pytest.raises(WorkerError, match="did not answer"):
            await worker.ask("hang", limit=3)
        for _ in range(100):
            if not worker.is_running:
                break
            await asyncio.sleep(0.05)
        assert states[-1] == "stopped"
        await worker.stop(0.1)

    asyncio.run(ask())


def test_a_box_whose_worker_is_killed_is_a_notice(server):
    server.open()
    server.paint(0, {1: ONE})
    server.track(until=0)
    server.slow_down(5)
    server.post("/api/boxes", {"frame": 3, "slot": 1, "box": [2, 3, 8, 5]})
    time.sleep(0.5)
    number = server.number
    kill_model(server)
    event = server.until(lambda e: e["type"] == "notice", after=number)
    assert (event["level"], "model worker has died" in event["message"]) == ("error", True)
    assert server.project()["prompts"] == {"0": [1]}


def test_a_project_is_closed_although_a_frame_takes_for_ever(server, monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE", 0.5)
    _, run = server.open()
    server.paint(0, {1: ONE})
    server.track(until=1)
    server.slow_down(600)
    server.post("/api/jobs", {"what": "track", "direction": "forward"})
    server.until(lambda e: e["type"] == "job" and e["id"] == 2 and e["state"] == "running")
    assert server.client.delete("/api/project").status_code == 200
    server.slow_down(0)
    assert server.project() is None
    server.session.model._deaths.clear()
    project = server.post("/api/project", {"run": f"{run.parent.name}/run"})
    assert project["stamps"][-1][1] >= 1
