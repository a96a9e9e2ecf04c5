"""A worker that finishes every video at once, to measure the dispatcher. Imports no torch."""

from __future__ import annotations

import os

from maskcast.batch.engine import VideoBegan, VideoEnded, VideoOutcome, WorkerReady
from maskcast.batch.worker_line import WorkerLine, WorkerSetup


def main(line: WorkerLine, setup: WorkerSetup) -> None:
    """Do nothing with each video."""
    line.send(WorkerReady(setup.worker, "here", "none", os.getpid()))
    while (work := line.next()) is not None:
        line.send(VideoBegan(setup.worker, work.job.id))
        outcome = VideoOutcome(status="finished")
        line.send(VideoEnded(setup.worker, work.job.id, outcome))
