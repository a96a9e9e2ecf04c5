"""A server in this process, with real worker processes and the stand-in method."""

from __future__ import annotations

import json
import shutil
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from cli.conftest import make_clip
from maskcast.web.folders import RootFolder
from maskcast.web.guard import Allowed, Guard
from maskcast.web.messages import SegmenterChoice
from maskcast.web.routes import application
from maskcast.web.serve import _lifespan
from maskcast.web.session import Session

TOKEN = "t" * 43
HOST = "127.0.0.1:7777"
COUNT, HEIGHT, WIDTH = 12, 24, 32
PATIENCE = 60.0
"""Seconds that a test waits for a worker process on a busy machine."""


class Server:
    """A client of the server, which has the token."""

    def __init__(self, client: TestClient, session: Session, root: Path) -> None:
        self.client, self.session, self.root = client, session, root
        self._number = 0

    def ask(self, method: str, path: str, **more: Any) -> Any:
        return self.client.request(method, path, **more)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, tree: Any = None) -> Any:
        answer = self.ask("POST", path, json=tree or {})
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def project(self) -> Any:
        return self.get("/api/project")

    def new_clip(self) -> Path:
        """A folder with a clip below the root."""
        self._number += 1
        folder = self.root / f"clip{self._number}"
        make_clip(folder)
        return folder

    def open(self, folder: Path | None = None, **more: Any) -> tuple[Any, Path]:
        """Open a clip, a new one by default; gives the project and its run folder."""
        folder = folder or self.new_clip()
        name = folder.name
        run = f"{name}/run"
        weights = f"{folder}/colours.safetensors"
        tree = {"video": f"{name}/video", "run": run, "weights": weights, **more}
        return self.post("/api/project", tree), self.root / run

    def paint(self, frame: int, masks: dict[int, Any], revision: int | None = None) -> Any:
        """Give objects masks on a frame; adds those that do not exist."""
        known = {o["slot"] for o in self.project()["objects"]}
        for slot in masks:
            if slot not in known:
                assert self.post("/api/objects")["slot"] == slot
        answer = self.put(frame, masks, revision)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def put(self, frame: int, masks: dict[int, Any], revision: int | None = None) -> Any:
        view = np.zeros((HEIGHT, WIDTH), np.uint8)
        for slot, mask in masks.items():
            view[np.asarray(mask)] = slot
        if revision is None:
            revision = self.project()["revision"]
        return self.ask(
            "PUT",
            f"/api/prompts/{frame}?slots={','.join(map(str, masks))}",
            content=zlib.compress(view.tobytes()),
            headers={"if-match": str(revision)},
        )

    def track(self, direction: str = "forward", **more: Any) -> Any:
        """Track and wait for the end; gives the last event of the job."""
        job = self.post("/api/jobs", {"what": "track", "direction": direction, **more})
        return self.wait(job["id"])

    def wait(self, job: int) -> Any:
        """Wait until a job has ended."""
        return self.until(
            lambda e: (
                e["type"] == "job"
                and e["id"] == job
                and e["state"] in ("done", "stopped", "failed")
            )
        )

    def events(self) -> list[Any]:
        return [json.loads(line) for _, line in self.session.events._lines]

    def until(self, wanted: Any) -> Any:
        """Wait for an event since the project was opened."""
        for _ in range(int(PATIENCE / 0.05)):
            events = self.events()
            opened = max((i for i, e in enumerate(events) if e["type"] == "project"), default=0)
            for event in reversed(events[opened:]):
                if wanted(event):
                    return event
            time.sleep(0.05)
        raise AssertionError(f"no such event; the last are {self.events()[-5:]}")


def serve_in(root: Path, **how: Any) -> Iterator[Server]:
    session = Session(RootFolder(root), SegmenterChoice(), model="fixtures.stand_in_worker", **how)
    app = application(session, most_upload=2**20)
    app.router.lifespan_context = _lifespan(session, None)
    allowed = Allowed(token=TOKEN, hosts=frozenset({HOST}))
    headers = {"authorization": f"Bearer {TOKEN}"}
    with TestClient(Guard(app, allowed), base_url=f"http://{HOST}", headers=headers) as client:
        yield Server(client, session, root)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("MASKCAST_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def server(tmp_path_factory, cache) -> Iterator[Server]:
    """One server for all tests of a file; its worker processes are started once."""
    root = tmp_path_factory.mktemp("root")
    yield from serve_in(root)
    if not __import__("os").environ.get("KEEP"):
        shutil.rmtree(root, ignore_errors=True)
