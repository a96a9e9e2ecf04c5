"""A worker without torch, for tests of the engine: the id of a video says what happens.

``fine``: finishes at once. ``beat``: sends beats until it is asked to stop. ``die``: kills itself.
``deaf``: ignores everything. ``exit``: leaves with code 7 while it works.
"""

from __future__ import annotations

import os
import signal
import time

from maskcast.batch.engine import (
    VideoBeat,
    VideoBegan,
    VideoEnded,
    VideoOutcome,
    WorkerReady,
    WorkerUnable,
)


def main(line, setup):
    if setup.model.weights == "unable":
        line.send(WorkerUnable(setup.worker, "no weights", 2))
        return
    if setup.model.weights == "dead":
        os._exit(3)
    line.send(WorkerReady(setup.worker, "light", f"slot {setup.slot}", os.getpid()))
    while (work := line.next()) is not None:
        job_id = work.job.id
        line.send(VideoBegan(setup.worker, job_id))
        line.send(VideoEnded(setup.worker, job_id, _outcome(line, setup, job_id)))


def make_source(**_):
    """Stand in for a ``MakesSource``; importing it loads no torch."""


def _outcome(line, setup, job_id):
    if job_id.startswith("die"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if job_id.startswith("exit"):
        os._exit(7)
    if job_id.startswith("deaf"):
        time.sleep(60)
    for done in range(100_000 if job_id.startswith("beat") else 1):
        line.send(VideoBeat(setup.worker, job_id, "frames", done, None))
        if line.stop.wait(0.05):
            return VideoOutcome(status="interrupted")
    return VideoOutcome(status="finished")
