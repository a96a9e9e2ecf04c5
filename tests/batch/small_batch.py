"""A folder of tiny videos with masks, and an engine that works in the calling process."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from contract.coloured_video import frames, true_mask
from fixtures.batch_stand_in import make_source
from maskcast.batch.batch_run import BatchRequest, BatchResult, run_batch
from maskcast.batch.engine import Assignment, VideoEnded, WorkerEvent, WorkerLost, WorkerReady
from maskcast.batch.job import BatchSettings
from maskcast.batch.policy import BatchPolicy
from maskcast.batch.worker import VideoWorker
from maskcast.batch.worker_line import WorkerSetup
from maskcast.io.label_maps import write_label_map

COUNT = 6
"""Frames of each video."""


def write_video(folder: Path, name: str, *, seed: int = 0, count: int = COUNT) -> dict[str, Any]:
    """Write a folder of frames and a mask, and return the row of a manifest."""
    video = folder / name
    video.mkdir(parents=True, exist_ok=True)
    for frame_index, frame in enumerate(frames(count, seed=seed)):
        pixels = (frame.permute(1, 2, 0) * 255).round().byte().numpy()
        Image.fromarray(pixels).save(video / f"{frame_index:05d}.png")
    write_label_map(folder / f"{name}.png", np.where(true_mask(1, 0).numpy(), 1, 0))
    return {"id": name, "video": name, "masks": f"{name}.png"}


def write_manifest(folder: Path, *rows: dict[str, Any], name: str = "videos.jsonl") -> Path:
    """Write a manifest into the folder of the videos."""
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class InlineEngine:
    """Works in the calling process, one video after the other."""

    def __init__(self, setup: WorkerSetup) -> None:
        self.setup = setup
        self.stop = threading.Event()
        self.events_: deque[WorkerEvent] = deque()
        self.given_ids: list[str] = []
        self.worker = 0

    def start_worker(self) -> int:
        self.worker += 1
        self.inside = VideoWorker(self.setup, self.events_.append, self.stop)
        self.events_.append(WorkerReady(self.worker, "here", self.inside.prepare()))
        return self.worker

    def give(self, worker: int, work: Assignment) -> None:
        self.given_ids.append(work.job.id)
        outcome = self.inside.do(work)
        self.events_.append(VideoEnded(worker, work.job.id, outcome))

    def ask_to_stop(self, worker: int) -> None:
        self.events_.append(WorkerLost(worker, "nobody"))

    def kill(self, worker: int) -> None:
        self.ask_to_stop(worker)

    def events(self, timeout: float) -> Iterator[WorkerEvent]:
        while self.events_:
            event = self.events_.popleft()
            yield type(event)(**{**vars(event), "worker": self.worker})

    def close(self) -> None:
        pass


class Engines:
    """Makes engines, and keeps them."""

    def __init__(self) -> None:
        self.made: list[InlineEngine] = []

    def __call__(self, setup: WorkerSetup) -> InlineEngine:
        self.made.append(InlineEngine(setup))
        return self.made[-1]

    @property
    def latest_ids(self) -> list[str]:
        """Ids of the videos that the latest engine was given."""
        return self.made[-1].given_ids


def run_small(
    manifest: Path, output: Path, engines: Engines | None = None, **how: Any
) -> BatchResult:
    """Run a batch in this process."""
    policy = BatchPolicy(attempts=how.pop("attempts", 3))
    settings = BatchSettings(**how.pop("settings", {}))
    request = BatchRequest(
        manifest=manifest, output=output, policy=policy, settings=settings, threads=1, **how
    )
    return run_batch(request, make_source, make_engine=engines or Engines())
